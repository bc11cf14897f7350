//! What the user sees: progress bars on a terminal, otherwise a line at each tenth.

use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use mqtt_examples::print::Teller;

/// Lines on standard output, and bars below them on standard error.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    teller: Teller,
    bars: Option<MultiProgress>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { teller: Teller::new(), bars }
    }

    /// A line.
    pub(crate) fn tell(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| self.teller.tell(text)),
            None => self.teller.tell(text),
        }
    }

    /// A bar up to `all`, which stands at `done`.
    pub(crate) fn bar(&self, name: &str, done: u32, all: u32) -> Bar {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = ProgressBar::new(all.into());
            // If the template were wrong, the plain bar would be used.
            let template = "{prefix:12} [{bar:30}] {pos}/{len} chunks {msg}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_owned());
            bars.add(bar)
        });
        let mut bar = Bar { screen: self.clone(), name: name.into(), bar, all, tenth: None };
        bar.set(done, "");
        bar
    }
}

/// The progress of a device.
#[derive(Debug)]
pub(crate) struct Bar {
    screen: Screen,
    name: String,
    bar: Option<ProgressBar>,
    all: u32,
    /// The last one that was told.
    tenth: Option<u64>,
}

impl Bar {
    pub(crate) fn set(&mut self, done: u32, what: &'static str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what);
            bar.set_position(done.into());
            return;
        }
        let tenth = u64::from(done) * 10 / u64::from(self.all.max(1));
        if self.tenth != Some(tenth) {
            self.tenth = Some(tenth);
            let (name, all) = (&self.name, self.all);
            self.screen.tell(&format!("{name}: {done} of {all} chunks, {} %", tenth * 10));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
