//! Seeds of the target `topic`.

use crate::Seeds;

/// A filter, a line feed, a name.
pub(crate) fn seeds() -> Seeds {
    let text = [
        ("literal", "sport/tennis\nsport/tennis"),
        ("case", "ACCOUNTS\nAccounts"),
        ("hash-below", "sport/tennis/#\nsport/tennis/player1/ranking"),
        ("hash-parent", "sport/#\nsport"),
        ("hash-alone", "#\nsport"),
        ("hash-not-alone", "sport/tennis#\nsport/tennis#"),
        ("hash-not-last", "sport/#/ranking\nsport/a/ranking"),
        ("plus", "sport/+/player1\nsport/tennis/player1"),
        ("plus-one-level", "sport/+\nsport/tennis/player1"),
        ("plus-not-none", "sport/+\nsport"),
        ("plus-empty-level", "sport/+\nsport/"),
        ("plus-plus", "+/+\n/finance"),
        ("plus-hash", "+/#\nsport"),
        ("plus-not-alone", "sport+\nsport+"),
        ("plus-first", "+\n/finance"),
        ("empty-levels", "//+//\n//a//"),
        ("dollar-hash", "#\n$SYS/uptime"),
        ("dollar-plus", "+/uptime\n$SYS/uptime"),
        ("dollar-named", "$SYS/#\n$SYS/uptime"),
        ("share", "$share/group/a/+\na/b"),
        ("share-hash-dollar", "$share/group/#\n$SYS/uptime"),
        ("share-nested", "$share/a/$share/b/c\n$share/b/c"),
        ("share-no-group", "$share//a\n$share//a"),
        ("share-no-filter", "$share/a/\n$share/a/"),
        ("share-wild-group", "$share/+/a\n$share/b/a"),
        ("unicode", "città/+/温度\ncittà/キッチン/温度"),
        ("byte-order-mark", "\u{FEFF}a\na"),
        ("nul", "a\0b\na\0b"),
        (
            "long",
            "abcdefghijklmnopqrstuvwxyz/+/abcdefghijkl\nabcdefghijklmnopqrstuvwxyz/0/abcdefghijkl",
        ),
        ("empty", ""),
    ];
    let mut seeds: Seeds = text.map(|(name, text)| (name, text.as_bytes().to_vec())).into();
    seeds.push(("surrogate", b"a/\xED\xA0\x80".to_vec()));
    seeds.push(("overlong", b"\xC0\xAF\n\xC0\xAF".to_vec()));
    seeds
}
