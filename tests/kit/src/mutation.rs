//! The bugs on purpose, which are only in the build of `cargo xtask mutations`: the programs `sim` and `model` switch
//! them on and look for them.

#[cfg(mqtt_core_mutations)]
pub use mqtt_core::mutation::{Bug, set};

/// The bugs that `name` stands for.
///
/// # Errors
///
/// The reason for the user: there is no such bug.
#[cfg(mqtt_core_mutations)]
pub fn called(name: &str) -> Result<&'static [Bug], String> {
    let known = || Bug::ALL.map(Bug::name).join(", ");
    mqtt_core::mutation::called(name)
        .ok_or_else(|| format!("no '{name}'; there are {}, all", known()))
}

/// There is none in this build.
#[cfg(not(mqtt_core_mutations))]
#[derive(Clone, Copy, Debug)]
pub enum Bug {}

#[cfg(not(mqtt_core_mutations))]
impl Bug {
    /// No bug has a name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {}
    }
}

/// There is none to find.
///
/// # Errors
///
/// Always, with the reason for the user.
#[cfg(not(mqtt_core_mutations))]
pub fn called(_: &str) -> Result<&'static [Bug], String> {
    Err("this build has no bugs to switch on; `cargo xtask sim --mutation` and `cargo xtask model --mutation` \
         make one that has"
        .to_owned())
}

/// There is none to switch on.
#[cfg(not(mqtt_core_mutations))]
pub const fn set(_: Option<Bug>) {}
