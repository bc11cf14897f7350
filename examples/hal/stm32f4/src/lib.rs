//! The watchdogs of the STM32F4, by `stm32f4xx-hal` 0.23: [`independent`] (IWDG) by its HAL, [`window`] (WWDG) by its
//! registers, because the HAL has nothing for it.
#![no_std]

pub mod independent;
pub mod window;
