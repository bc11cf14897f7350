//! The power is cut within every single operation of a device's life, in several ways, and once more after that. At
//! each moment the old image or the new one boots, whole. The update goes on where it was, and comes to its end.

use super::{
    tests::{Flash, bytes, image, key, message, product, slots},
    *,
};
use crate::{
    nor::{Nor, PowerCut, Ram},
    reception::Taken,
};

/// How much of an operation is done: nothing, some bits, some bytes, all but a byte, all.
const TEARS: [u32; 8] = [0, 1, 3, 8, 100, 251, 512, 0x1234_5678];

type Image = (Vec<u8>, Manifest);

/// A device, and what it has seen over all of its boots.
struct Device {
    slots: Slots<Flash>,
    images: Vec<Image>,
    /// Chunks that were sent to it.
    chunks: u32,
}

impl Device {
    fn new(flash: Flash, images: &[Image]) -> Self {
        Self { slots: slots(flash), images: images.to_vec(), chunks: 0 }
    }

    /// Boots, and does all updates that it can. An error is the power cut.
    fn lives(&mut self) -> Result<Running, ()> {
        let mut running = self.boots()?;
        for offered in self.images.clone() {
            if offered.1.version <= running.manifest.version {
                continue;
            }
            let signed = offered.1.sign(&key());
            let mut reception = match self.slots.begin(&signed, product(), Some(&running)) {
                Ok(reception) => reception,
                Err(BeginError::Refused(refused)) => panic!("{refused}"),
                Err(BeginError::Slots(_)) => return Err(()),
            };
            while !reception.is_complete() {
                self.chunks += 1;
                reception.start();
                let message = message(&offered, reception.next());
                for piece in message.chunks(200) {
                    reception.bytes(&mut self.slots, piece).map_err(drop)?;
                }
                assert_eq!(reception.end(&mut self.slots).map_err(drop)?, Taken::Stored);
            }
            assert!(reception.finish(&mut self.slots, |_| ()).map_err(drop)?);
            running = self.boots()?;
        }
        Ok(running)
    }

    /// Boots, and confirms the image.
    fn boots(&mut self) -> Result<Running, ()> {
        let mut running = self.slots.boot().map_err(drop)?.expect("never none");
        self.is_whole(&running);
        self.slots.confirm(&mut running).map_err(drop)?;
        Ok(running)
    }

    /// The image that runs is one of those that were published, byte by byte.
    fn is_whole(&mut self, running: &Running) {
        let known = self.images.iter().find(|image| image.1 == running.manifest).cloned();
        let known = known.expect("one that was published").0;
        assert!(bytes(&mut self.slots, running.slot, known.len()) == known, "{running:?}");
    }

    fn cut(&mut self, cut: PowerCut) -> bool {
        self.slots.flash().power_on();
        self.slots.flash().cut_power(cut);
        let is_cut = self.lives().is_err();
        self.slots.flash().power_on();
        is_cut
    }
}

/// A device that runs the first of these images.
fn installed(images: &[Image]) -> Flash {
    let first = images.get(..1).expect("an image");
    let mut slots = slots(Nor::new(Ram::erased()));
    let (_, manifest) = first.first().expect("an image");
    let mut reception = slots.begin(&manifest.sign(&key()), product(), None).expect("taken");
    for number in 0..manifest.chunks() {
        reception.start();
        reception.bytes(&mut slots, &message(first.first().expect("one"), number)).expect("flash");
        assert_eq!(reception.end(&mut slots).expect("flash"), Taken::Stored);
    }
    assert!(reception.finish(&mut slots, |_| ()).expect("flash"));
    let mut running = slots.boot().expect("flash").expect("an image");
    slots.confirm(&mut running).expect("flash");
    let mut flash = slots.flash;
    flash.power_on();
    flash
}

fn images(count: u16, len: usize) -> Vec<Image> {
    (1..=count).map(|version| image(version, len + usize::from(version))).collect()
}

#[test]
fn a_power_cut_within_any_operation_boots_the_old_image_or_the_new_one_and_the_update_goes_on() {
    let images = images(3, 2_300);
    let newest = images.last().expect("an image").1;
    let flash = installed(&images);
    let mut undisturbed = Device::new(flash.clone(), &images);
    let last = undisturbed.lives().expect("there is power");
    assert_eq!((last.manifest, last.trial), (newest, false));
    let (operations, chunks) = (undisturbed.slots.flash().operations(), undisturbed.chunks);
    assert!(operations > 50, "{operations} operations are a life of two updates");
    let mut again = 0;
    for after in 0..operations {
        for tear in TEARS {
            let mut device = Device::new(flash.clone(), &images);
            assert!(device.cut(PowerCut { after, tear }), "{after} of {operations}");
            let running = device.lives().expect("there is power");
            let place = format!("cut in operation {after}, tear {tear}: {running:?}");
            assert_eq!((running.manifest, running.trial), (newest, false), "{place}");
            assert!(device.chunks <= chunks + 1, "{place}: it began anew");
            again += u32::from(device.chunks == chunks + 1);
        }
    }
    assert!(again > 0, "a chunk that was cut comes again");
}

#[test]
fn a_second_power_cut_within_any_operation_after_the_first_one_changes_nothing_of_that() {
    let images = images(2, 1_000);
    let newest = images.last().expect("an image").1;
    let flash = installed(&images);
    let mut undisturbed = Device::new(flash.clone(), &images);
    let _last = undisturbed.lives().expect("there is power");
    let (operations, chunks) = (undisturbed.slots.flash().operations(), undisturbed.chunks);
    let mut lives = 0;
    for first in 0..operations {
        for tear in [0, 5, 300] {
            for second in 0.. {
                let mut device = Device::new(flash.clone(), &images);
                assert!(device.cut(PowerCut { after: first, tear }));
                // The second life may have fewer operations than the first one.
                if !device.cut(PowerCut { after: second, tear: tear + 3 }) {
                    break;
                }
                lives += 1;
                let running = device.lives().expect("there is power");
                let place = format!("cut in operations {first} and {second}, tear {tear}");
                assert_eq!((running.manifest, running.trial), (newest, false), "{place}");
                // A torn entry of the log stays so. A cut in the next chunk then costs both chunks.
                assert!(device.chunks <= chunks + 3, "{place}: it began anew");
            }
        }
    }
    assert!(lives > 500, "{lives}");
}

#[test]
fn marks_that_are_torn_again_and_again_are_passed_over_until_there_is_no_room() {
    let images = images(1, 600);
    let mut slots = slots(installed(&images));
    let mut torn = 0;
    let full = loop {
        slots.flash().power_on();
        slots.flash().cut_power(PowerCut { after: 0, tear: 2 });
        match slots.mark(Slot::A, Mark::Rejected) {
            Err(Error::Flash(_)) => torn += 1,
            other => break other,
        }
    };
    assert_eq!(full, Err(Error::MarksFull));
    assert!(torn > 30, "{torn}");
    slots.flash().power_on();
    assert_eq!(slots.boot().map(|running| running.is_some()), Ok(true));
}
