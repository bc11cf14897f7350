//! The topics of one product and one device. No level is shared by directions, so a broker's access list can let a device
//! publish its own wishes and status alone.
//!
//! | topic | from | QoS | retained | content |
//! |---|---|---|---|---|
//! | `fota/PRODUCT/manifest` | publisher | 1 | yes | the signed manifest; empty: withdrawn |
//! | `fota/PRODUCT/publisher` | publisher | 1 | yes | `online`, `offline`; the will, too |
//! | `fota/PRODUCT/chunk/DEVICE` | publisher | 0 | no | a chunk |
//! | `fota/PRODUCT/want/DEVICE` | device | 0 | no | the chunks that it wants |
//! | `fota/PRODUCT/status/DEVICE` | device | 1 | yes | its status as JSON; the will, too |

use mqtt_fota::manifest::Product;

/// The first level, unless the user says another one.
pub(crate) const PREFIX: &str = "fota";

/// The topics of a product.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    base: String,
    pub(crate) manifest: String,
    pub(crate) publisher: String,
}

impl Topics {
    pub(crate) fn new(prefix: &str, product: Product) -> Self {
        let base = format!("{prefix}/{product}");
        let [manifest, publisher] = ["manifest", "publisher"].map(|name| format!("{base}/{name}"));
        Self { base, manifest, publisher }
    }

    /// `device` may be `+`.
    pub(crate) fn chunk(&self, device: &str) -> String {
        format!("{}/chunk/{device}", self.base)
    }

    pub(crate) fn want(&self, device: &str) -> String {
        format!("{}/want/{device}", self.base)
    }

    pub(crate) fn status(&self, device: &str) -> String {
        format!("{}/status/{device}", self.base)
    }

    /// The device of a wish, or of a status.
    pub(crate) fn sender<'t>(&self, topic: &'t str) -> Option<Sender<'t>> {
        let rest = topic.strip_prefix(&self.base)?;
        let wanting = rest.strip_prefix("/want/").map(Sender::Want);
        wanting.or_else(|| rest.strip_prefix("/status/").map(Sender::Status))
    }
}

/// Which device sends what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender<'t> {
    Want(&'t str),
    Status(&'t str),
}
