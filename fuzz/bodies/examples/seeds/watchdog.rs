//! Seeds of the target `watchdog`.

use crate::Seeds;

/// Settings and calls of the body `watchdog`, and the input of its other parts.
pub(crate) fn seeds() -> Seeds {
    // Heartbeat 100 ms, one rescue, from 0 on; restart, last words after 50 ms, reset after 20.
    const SETTINGS: &[u8] = &[0, 100, 0, 1, 0, 2, 1, 0, 0, 4, 50, 0, 20];
    // The same, 60 ms before the stamp wraps, and before the end of time.
    const WRAP: &[u8] = &[0, 100, 0, 1, 1, 60, 0, 2, 1, 0, 0, 4, 50, 0, 20];
    const END: &[u8] = &[0, 100, 0, 1, 4, 0, 4, 0, 0, 2, 1, 0, 0, 4, 50, 0, 20];
    // Rules: a deadline of 250 ms, and more.
    const PLAIN: &[u8] = &[0, 250, 0];
    const VACANT: &[u8] = &[1];
    const WINDOW: &[u8] = &[2, 250, 0, 30, 0];
    const STEPS: &[u8] = &[4, 250, 0, 3];
    const GRANTS: &[u8] = &[8, 250, 0, 3, 4];
    const PAUSED: &[u8] = &[16, 250, 0];
    const LONGEST: &[u8] = &[32, 0, 0xBA, 0xDB, 0];
    // Calls of task 0; the last one is of another task.
    const FEED: u8 = 0;
    const STEP: u8 = 2;
    const NEXT: u8 = 3;
    const GRANT: u8 = 4;
    const PAUSE: u8 = 5;
    const RESUME: u8 = 6;
    const RETIRE: u8 = 7;
    const RETURN: u8 = 8;
    const PANIC: u8 = 8 | 4 << 4;
    const RESTARTED: u8 = 10;
    const DUE: u8 = 14;
    const MILLIS_10: u8 = 12 | 10 << 4;
    const FEED_OTHER: u8 = 1 << 4;

    let program = |settings: &[u8], tasks: &[&[u8]], calls: &[u8]| {
        [settings, &[tasks.len() as u8], &tasks.concat(), calls].concat()
    };
    let beats = [FEED, DUE, DUE].repeat(6);
    let starve = [FEED, DUE, DUE, DUE, DUE, DUE];
    let plan = [5, 0, 20, 244, 1, 0, 0, 20, 0, 0, 0, 132, 3, 0, 0, 196, 9, 0, 0]
        .into_iter()
        .chain([232, 3, 0, 0, 100, 0, 0, 0, 50, 0, 0, 0, 160, 15, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0])
        .collect();
    // Starved task 2, at checkpoint 1, since 60,000 ms, found at 61,000; with its checksum.
    let record = b"WDcr\x01\x01\x01\x01\x02\0\0\0\0\0\0\0\x60\xEA\0\0\0\0\0\0\x48\xEE\0\0\0\0\0\0";
    vec![
        ("feeds", program(SETTINGS, &[PLAIN], &beats)),
        ("feeds-through-the-wrap", program(WRAP, &[PLAIN], &beats)),
        ("feeds-to-the-end-of-time", program(END, &[PLAIN], &beats)),
        ("starves", program(SETTINGS, &[PLAIN], &[&starve[..], &[DUE; 4]].concat())),
        (
            "starves-beside-another",
            program(SETTINGS, &[PLAIN, PLAIN], &[FEED_OTHER, DUE].repeat(6)),
        ),
        ("starves-at-start", program(WRAP, &[PLAIN], &[DUE; 6])),
        ("late-feed", program(SETTINGS, &[PLAIN], &[FEED, 11, 251, 0, FEED, DUE, DUE])),
        (
            "restarted",
            program(SETTINGS, &[PLAIN], &[&starve[..], &[RESTARTED, FEED, DUE]].concat()),
        ),
        (
            "restarted-twice",
            program(
                SETTINGS,
                &[PLAIN],
                &[&starve[..], &[RESTARTED], &starve, &[RESTARTED]].concat(),
            ),
        ),
        ("early", program(SETTINGS, &[WINDOW], &[FEED, MILLIS_10, FEED, DUE])),
        ("window", program(SETTINGS, &[WINDOW], &beats)),
        ("checkpoints", program(WRAP, &[STEPS], &[NEXT, DUE].repeat(9))),
        ("checkpoint-out-of-order", program(SETTINGS, &[STEPS], &[NEXT, STEP, 2, DUE, DUE])),
        ("checkpoint-unknown", program(SETTINGS, &[STEPS], &[NEXT, STEP, 19, DUE, DUE])),
        ("feed-without-checkpoint", program(SETTINGS, &[STEPS], &[NEXT, FEED, DUE, DUE, DUE, DUE])),
        (
            "grants",
            program(SETTINGS, &[GRANTS], &[FEED, GRANT, GRANT, DUE, DUE, DUE, DUE].repeat(4)),
        ),
        ("grant-for-the-start", program(WRAP, &[GRANTS], &[DUE; 12])),
        (
            "pause",
            program(SETTINGS, &[PLAIN], &[FEED, PAUSE, FEED, DUE, DUE, DUE, DUE, RESUME, DUE]),
        ),
        (
            "pause-of-hours",
            program(SETTINGS, &[PAUSED], &[13 | 15 << 4, 0, 16, 0, 0, DUE, RESUME, FEED]),
        ),
        ("retire", program(SETTINGS, &[PLAIN], &[FEED, RETIRE, FEED, RETIRE, DUE, DUE, DUE, DUE])),
        ("returns", program(SETTINGS, &[PLAIN], &[FEED, MILLIS_10, RETURN, RETIRE, DUE, DUE])),
        ("panics", program(SETTINGS, &[PLAIN, STEPS], &[FEED, MILLIS_10, PANIC, DUE, DUE])),
        (
            "watch",
            program(SETTINGS, &[VACANT], &[DUE, 9, 0, 250, 0, FEED, DUE, RETIRE, 9, 1, FEED]),
        ),
        (
            "clock-goes-back",
            program(SETTINGS, &[PLAIN], &[11, 0, 1, FEED, 13, 0, 1, DUE, FEED, DUE]),
        ),
        ("clock-of-another", program(SETTINGS, &[PAUSED], &[11, 0, 9, RESUME, 13, 0, 8, DUE, DUE])),
        (
            "longest-deadline",
            program(SETTINGS, &[LONGEST], &[FEED, 13 | 15 << 4, 0, 12, 0, 0, DUE]),
        ),
        (
            "asleep-for-hours",
            program(SETTINGS, &[LONGEST], &[FEED, 13 | 15 << 4, 0, 64, 0, 0, DUE]),
        ),
        ("nobody", program(SETTINGS, &[], &[DUE; 3])),
        ("record", [&[4], &record[..], &[0; 16], &[0x4A, 0xAA, 0xD8, 0x5E]].concat()),
        (
            "record-provisional",
            [&[4], &b"WDcr\x01\0\xFF\x01"[..], &[0; 40], &[0xB1, 0x7D, 0x75, 0x23]].concat(),
        ),
        ("record-damaged", [&[4], &record[..], &[0; 20]].concat()),
        ("record-absent", vec![4]),
        ("plan", plan),
        ("countdown", [&[6, 3][..], &[1, 1, 0, 1, 0, 1, 1, 1, 0, 1]].concat()),
    ]
}
