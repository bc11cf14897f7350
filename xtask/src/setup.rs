//! Tools that the commands need beside Rust. A missing one is installed by the system's package manager if that is
//! allowed. Otherwise the error says the command that installs it.

use std::process::Command;

use crate::path::find;
use crate::shell::{self, Log};
use crate::workspace::Workspace;

/// A tool and the packages that hold it.
pub(crate) struct Tool {
    /// Programs that must be there.
    pub(crate) programs: &'static [&'static str],
    /// Package names by package manager; a manager that is not listed does not have it.
    pub(crate) packages: &'static [(&'static str, &'static [&'static str])],
}

/// The reference broker and its two clients, for the tests.
pub(crate) const MOSQUITTO: Tool = Tool {
    programs: &["mosquitto", "mosquitto_pub", "mosquitto_sub"],
    packages: &[
        ("apt-get", &["mosquitto", "mosquitto-clients"]),
        ("dnf", &["mosquitto"]),
        ("apk", &["mosquitto", "mosquitto-clients"]),
        ("pacman", &["mosquitto"]),
        ("brew", &["mosquitto"]),
    ],
};

/// More tools for the system tests: openssl makes a certificate, and pip installs a second independent client, paho,
/// into an environment of its own.
pub(crate) const PEERS: Tool = Tool {
    programs: &["openssl", "python3"],
    packages: &[
        ("apt-get", &["openssl", "python3", "python3-venv"]),
        ("dnf", &["openssl", "python3"]),
        ("apk", &["openssl", "python3"]),
        ("pacman", &["openssl", "python"]),
        ("brew", &["openssl", "python3"]),
    ],
};

/// Reads capture files, for the system tests: another program has to understand what a trace holds.
pub(crate) const TSHARK: Tool = Tool {
    programs: &["tshark"],
    packages: &[
        ("apt-get", &["tshark"]),
        ("dnf", &["wireshark-cli"]),
        ("apk", &["tshark"]),
        ("pacman", &["wireshark-cli"]),
        ("brew", &["wireshark"]),
    ],
};

/// Two proxies, for the tests of the transports.
pub(crate) const PROXIES: Tool = Tool {
    programs: &["tinyproxy", "microsocks"],
    packages: &[
        ("apt-get", &["tinyproxy-bin", "microsocks"]),
        ("apk", &["tinyproxy", "microsocks"]),
        ("brew", &["tinyproxy", "microsocks"]),
    ],
};

/// Makes networks, for the tests of embassy-net.
pub(crate) const NETWORKS: Tool = Tool {
    programs: &["ip", "unshare"],
    packages: &[
        ("apt-get", &["iproute2", "util-linux"]),
        ("dnf", &["iproute", "util-linux"]),
        ("apk", &["iproute2", "util-linux"]),
        ("pacman", &["iproute2", "util-linux"]),
    ],
};

/// Counts instructions.
pub(crate) const VALGRIND: Tool = Tool {
    programs: &["valgrind"],
    packages: &[
        ("apt-get", &["valgrind"]),
        ("dnf", &["valgrind"]),
        ("apk", &["valgrind"]),
        ("pacman", &["valgrind"]),
    ],
};

struct Manager {
    program: &'static str,
    /// Fetches the lists of packages, if that is a command of its own.
    update: Option<&'static [&'static str]>,
    install: &'static [&'static str],
    as_root: bool,
}

const MANAGERS: &[Manager] = &[
    Manager {
        program: "apt-get",
        update: Some(&["update"]),
        // It must not remove a package that somebody uses.
        install: &["install", "-y", "--no-install-recommends", "--no-remove"],
        as_root: true,
    },
    Manager { program: "dnf", update: None, install: &["install", "-y"], as_root: true },
    Manager { program: "apk", update: None, install: &["add", "--no-cache"], as_root: true },
    Manager {
        program: "pacman",
        update: None,
        install: &["-Sy", "--noconfirm", "--needed"],
        as_root: true,
    },
    Manager { program: "brew", update: None, install: &["install"], as_root: false },
];

/// Programs of the tool that are not there.
pub(crate) fn missing(tool: &Tool) -> Vec<&'static str> {
    tool.programs.iter().copied().filter(|program| find(program).is_none()).collect()
}

/// Makes sure that the tool is there. An error names the command that installs it.
pub(crate) fn ensure(
    workspace: &Workspace,
    log: &Log,
    tool: &Tool,
    may_install: bool,
) -> Result<(), String> {
    if missing(tool).is_empty() {
        return Ok(());
    }
    let packages = packages_here(tool).ok_or_else(|| {
        format!("{} is missing, and no package manager known here has it", names(&missing(tool)))
    })?;
    install(workspace, log, &packages, may_install)
        .map_err(|why| format!("{} is missing; {why}", names(&missing(tool))))?;
    match &*missing(tool) {
        [] => Ok(()),
        left => Err(format!("{} is missing although its package was installed", names(left))),
    }
}

fn packages_here(tool: &Tool) -> Option<(&'static Manager, &'static [&'static str])> {
    MANAGERS.iter().filter(|manager| find(manager.program).is_some()).find_map(|manager| {
        let (_, packages) = tool.packages.iter().find(|(name, _)| *name == manager.program)?;
        Some((manager, *packages))
    })
}

/// Installs Debian packages by `apt-get`.
pub(crate) fn install_debian(
    workspace: &Workspace,
    log: &Log,
    packages: &'static [&'static str],
    may_install: bool,
) -> Result<(), String> {
    let manager = MANAGERS
        .iter()
        .find(|manager| manager.program == "apt-get" && find(manager.program).is_some())
        .ok_or("apt-get is not here")?;
    install(workspace, log, &(manager, packages), may_install)
}

fn install(
    workspace: &Workspace,
    log: &Log,
    (manager, packages): &(&Manager, &[&str]),
    may_install: bool,
) -> Result<(), String> {
    let by_hand = format!("install it with: {}", by_hand(manager, packages));
    if !may_install {
        return Err(by_hand);
    }
    let prefix: &[&str] = match (manager.as_root, privilege()) {
        (false, _) | (true, Privilege::Root) => &[],
        (true, Privilege::Sudo) => &["sudo", "-n"],
        (true, Privilege::None) => return Err(by_hand),
    };
    println!("installing {} with {}", names(packages), manager.program);
    let command = |words: &[&str]| {
        let all = [prefix, &["env", "DEBIAN_FRONTEND=noninteractive", manager.program], words];
        let mut words = all.into_iter().flatten();
        let mut command = workspace.program(words.next().unwrap_or(&"false"));
        command.args(words);
        command
    };
    if let Some(update) = manager.update {
        // This may fail: the lists that are there may name the packages. Only the installation decides.
        log.run(&mut command(update))?;
    }
    log.run(&mut command(&[manager.install, packages].concat()))?
        .require()
        .map(|_| ())
        .map_err(|why| format!("{why}; {by_hand}"))
}

/// The command line that a user types.
fn by_hand(manager: &Manager, packages: &[&str]) -> String {
    let sudo = if manager.as_root { "sudo " } else { "" };
    let mut line = String::new();
    if let Some(update) = manager.update {
        line = format!("{sudo}{} {} && ", manager.program, update.join(" "));
    }
    // The options for an unattended run are not needed if somebody reads the questions.
    let install: Vec<&str> =
        manager.install.iter().copied().filter(|word| !word.starts_with("--no")).collect();
    line + &format!("{sudo}{} {} {}", manager.program, install.join(" "), packages.join(" "))
}

enum Privilege {
    Root,
    Sudo,
    None,
}

fn privilege() -> Privilege {
    if shell::ask(Command::new("id").arg("-u")).is_some_and(|id| id == "0") {
        Privilege::Root
    } else if shell::ask(Command::new("sudo").args(["-n", "true"])).is_some() {
        Privilege::Sudo
    } else {
        Privilege::None
    }
}

fn names(words: &[&str]) -> String {
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(name: &str) -> &'static Manager {
        MANAGERS.iter().find(|manager| manager.program == name).expect("known")
    }

    #[test]
    fn the_command_to_type_is_complete() {
        assert_eq!(
            by_hand(manager("apt-get"), &["mosquitto", "mosquitto-clients"]),
            "sudo apt-get update && sudo apt-get install -y mosquitto mosquitto-clients"
        );
        assert_eq!(by_hand(manager("brew"), &["mosquitto"]), "brew install mosquitto");
        assert_eq!(by_hand(manager("pacman"), &["x"]), "sudo pacman -Sy --needed x");
    }

    #[test]
    fn every_package_list_names_a_known_manager() {
        for tool in [&MOSQUITTO, &PEERS, &TSHARK, &PROXIES, &NETWORKS, &VALGRIND] {
            for (name, packages) in tool.packages {
                assert!(MANAGERS.iter().any(|manager| manager.program == *name), "{name}");
                assert!(!packages.is_empty());
            }
        }
    }

    #[test]
    fn a_program_that_is_nowhere_is_missing() {
        let tool = Tool { programs: &["cargo", "no-such-program-anywhere"], packages: &[] };
        assert_eq!(missing(&tool), ["no-such-program-anywhere"]);
    }
}
