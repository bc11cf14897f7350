//! Draws the view of the gateway as an SVG, for the documentation. The facts in it are fixed, so the file is the same at
//! each run.
//!
//! ```sh
//! cargo run --example gateway_picture                                # docs/gateway.svg, 80 by 24
//! cargo run --example gateway_picture -- /tmp/wide.svg 120 40
//! ```

#[cfg(target_os = "linux")]
mod facts;
mod svg;

use std::{env, fs, io, path::PathBuf, process::ExitCode};

use ratatui::buffer::Buffer;
#[cfg(target_os = "linux")]
use ratatui::{Terminal, backend::TestBackend};

/// The picture of the documentation.
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/gateway.svg");
/// Columns and rows of a usual terminal.
const SIZE: (u16, u16) = (80, 24);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (file, size) = match arguments.as_slice() {
        [] => (PathBuf::from(PICTURE), Some(SIZE)),
        [file] => (file.into(), Some(SIZE)),
        [file, width, height] => (file.into(), width.parse().ok().zip(height.parse().ok())),
        _ => (PathBuf::new(), None),
    };
    let Some(size) = size else {
        eprintln!("usage: gateway_picture [FILE [COLUMNS ROWS]]");
        return ExitCode::FAILURE;
    };
    match drawn(size).and_then(|drawn| fs::write(&file, svg::of(&drawn))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway_picture: {}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
fn drawn((width, height): (u16, u16)) -> io::Result<Buffer> {
    let mut terminal = Terminal::new(TestBackend::new(width, height))?;
    terminal.draw(|frame| mqtt_gateway::view::draw(frame, &facts::shown()))?;
    Ok(terminal.backend().buffer().clone())
}

#[cfg(not(target_os = "linux"))]
fn drawn(_: (u16, u16)) -> io::Result<Buffer> {
    Err(io::Error::other("the gateway needs Linux"))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_picture_in_the_documentation_is_up_to_date() {
        let committed = fs::read_to_string(PICTURE).expect("it is in the repository");
        let message = "run: cargo run --example gateway_picture";
        assert!(committed == svg::of(&drawn(SIZE).expect("it cannot fail")), "{message}");
    }
}
