//! Seeds of the target `journal`.

use crate::Seeds;

/// Each seed has three bytes of settings, and the length and the instructions of the first life; then settings again,
/// the number of changes of records and the changes; then the instructions of the second life.
pub(crate) fn seeds() -> Seeds {
    const SETTINGS: [u8; 3] = [0x38, 60, 3];
    const MANUAL: [u8; 3] = [0x3A, 60, 3];
    const SMALL: [u8; 3] = [0x38, 10, 1];
    const TWO_BROKERS: [u8; 3] = [0x38, 60, 3 | 1 << 3];
    const CLUSTER_OF_TWO: [u8; 3] = [0x38, 60, 3 | 1 << 3 | 1 << 5];
    const UP: &[u8] = &[11, 0];
    const UP_AGAIN: &[u8] = &[11, 1];
    const DRIVE: &[u8] = &[8];
    const REPLY: &[u8] = &[7, 8];
    const PUBLISH: [&[u8]; 3] = [&[0, 0, 4], &[0, 1, 5], &[0, 2, 6]];
    const SUBSCRIBE: &[u8] = &[2, 1, 8, 7, 8];
    const UNSUBSCRIBE: &[u8] = &[3, 1, 8];
    const HEAR: &[u8] = &[4, 2, 8];
    const RELEASE: &[u8] = &[6, 2, 8];
    const ACKNOWLEDGE: &[u8] = &[12, 0, 8];
    const MARK: &[u8] = &[13, 200, 8];
    const COMPACT: &[u8] = &[13, 0, 8];
    const LATER: &[u8] = &[14, 200, 8];
    const ALL: &[u8] = &[0];

    let each = [UP, PUBLISH[1], DRIVE, PUBLISH[2], DRIVE, REPLY, REPLY].concat();
    let all = [&each, PUBLISH[1], SUBSCRIBE, HEAR, MARK, DRIVE].concat();
    let moved = [&each, UP_AGAIN, HEAR, PUBLISH[2], DRIVE, REPLY, UP_AGAIN, HEAR].concat();
    let lives = |settings: [[u8; 3]; 2], first: &[u8], made: &[&[u8]], second: &[&[u8]]| {
        let [own, other] = settings;
        let lived = [&own[..], &[first.len() as u8], first].concat();
        [lived, other.into(), vec![made.len() as u8], made.concat(), second.concat()].concat()
    };
    let same = [SETTINGS; 2];
    let manual = [UP, HEAR, ACKNOWLEDGE, HEAR, RELEASE, LATER].concat();
    vec![
        ("nothing", lives(same, &[], &[], &[])),
        ("each-qos", lives(same, &each, &[ALL], &[UP_AGAIN, REPLY])),
        ("everything", lives(same, &all, &[ALL], &[UP_AGAIN, REPLY, PUBLISH[2], DRIVE])),
        ("session-lost", lives(same, &all, &[ALL], &[UP, REPLY])),
        ("manual", lives([MANUAL; 2], &manual, &[ALL], &[UP_AGAIN, HEAR, RELEASE])),
        ("smaller", lives([SETTINGS, SMALL], &all, &[ALL], &[UP_AGAIN])),
        ("larger", lives([SMALL, SETTINGS], &each, &[ALL], &[PUBLISH[2], UP_AGAIN, REPLY])),
        ("compacted", lives(same, &[&all, COMPACT, UNSUBSCRIBE].concat(), &[ALL], &[UP])),
        ("cut", lives(same, &all, &[&[1, 0], &[2, 1, 20], &[1, 2]], &[UP_AGAIN])),
        ("changed", lives(same, &all, &[&[1, 0], &[3, 1, 0, 0, 9, 7]], &[UP_AGAIN])),
        ("changed-and-sealed", lives(same, &all, &[&[4, 1, 0, 0, 10, 2]], &[UP_AGAIN])),
        ("spliced", lives(same, &all, &[&[5, 1, 2, 12, 10], &[1, 2]], &[UP_AGAIN])),
        ("swapped", lives(same, &all, &[&[1, 3], &[1, 1], &[1, 2], &[1, 0]], &[UP_AGAIN])),
        ("twice", lives(same, &all, &[ALL, ALL], &[UP_AGAIN])),
        (
            "made-up",
            lives(
                same,
                &[],
                &[&[6, 20, 12, 0, 0, 0, 0, 0, 0, 0, 9, 2, 0, 1, 3, 0, 7, 0, 0x34, 5, 0, 1, b't']],
                &[UP_AGAIN],
            ),
        ),
        ("two-brokers", lives([TWO_BROKERS; 2], &moved, &[ALL], &[UP_AGAIN, PUBLISH[2], REPLY])),
        ("cluster", lives([CLUSTER_OF_TWO; 2], &moved, &[ALL], &[UP_AGAIN, PUBLISH[2], REPLY])),
        (
            "more-brokers",
            lives([SETTINGS, TWO_BROKERS], &all, &[ALL], &[UP_AGAIN, PUBLISH[2], UP_AGAIN]),
        ),
        ("found", lives(same, &[UP_AGAIN, PUBLISH[2], DRIVE].concat(), &[ALL], &[UP_AGAIN, REPLY])),
        (
            "found-and-sealed",
            lives(same, &[UP_AGAIN, PUBLISH[2], DRIVE].concat(), &[&[4, 0, 0, 1, 44]], &[UP]),
        ),
        ("later-version", lives(same, &all, &[&[4, 1, 0, 0, 0, 2]], &[UP])),
        (
            "garbage",
            lives(same, &all, &[&[7, 8, 1, 2, 3, 4, 5, 6, 7, 8]], &[UP, &[15, 3, 1, 2, 3]]),
        ),
    ]
}
