//! Which device a model runs on: the wanted one, or the next one down, loudly.
//!
//! ONNX Runtime's providers are part of its library, which is loaded at run time; whether one works is known only when
//! a session was created on it. So the devices are tried in order.

use std::fmt;

use pointsman_core::config;
use pointsman_core::config::Name;

use super::error::SessionError;

/// The device that a session runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionDevice {
    /// The CPU.
    Cpu,
    /// The CUDA device of that number.
    Cuda(u32),
    /// The first CUDA device by TensorRT.
    TensorRt,
}

/// The device that the sessions of a classifier run on, and why it is not the wanted one.
#[derive(Debug)]
pub(crate) struct DevicePlacement {
    pub(crate) device: SessionDevice,
    pub(crate) fell_back: Option<String>,
}

impl fmt::Display for SessionDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::TensorRt => f.write_str("tensorrt"),
        }
    }
}

/// Returns the devices that are tried, in order; `has_cuda` says whether the library was built with it.
fn fallback_order(wanted: config::DeviceChoice, has_cuda: bool) -> Vec<SessionDevice> {
    match wanted {
        // A library for CPUs only leaves nothing to fall back from.
        config::DeviceChoice::Auto if !has_cuda => vec![SessionDevice::Cpu],
        config::DeviceChoice::Auto => vec![SessionDevice::Cuda(0), SessionDevice::Cpu],
        config::DeviceChoice::Cpu => vec![SessionDevice::Cpu],
        config::DeviceChoice::Cuda(number) => vec![SessionDevice::Cuda(number), SessionDevice::Cpu],
        config::DeviceChoice::Tensorrt => vec![SessionDevice::TensorRt, SessionDevice::Cuda(0), SessionDevice::Cpu],
    }
}

/// Opens something on the first device of the configuration's order that works; on the first one or not at all when
/// that is required.
pub(crate) fn open<T>(
    name: &Name,
    config: &config::ClassifierConfig,
    has_cuda: bool,
    mut open: impl FnMut(SessionDevice) -> Result<T, SessionError>,
) -> Result<(T, DevicePlacement), SessionError> {
    let order = fallback_order(config.device, has_cuda);
    let mut fell_back: Option<String> = None;
    for (index, device) in order.iter().copied().enumerate() {
        let last = config.require || index + 1 == order.len();
        match open(device) {
            Ok(content) => return Ok((content, DevicePlacement { device, fell_back })),
            Err(source) if config.require => {
                return Err(SessionError::Device { device: device.to_string(), source: Box::new(source) });
            }
            Err(error) if last => return Err(error),
            Err(error) => {
                let cause = cause(&error);
                tracing::warn!(classifier = %name, %device, next = %order[index + 1], "Device does not work: {cause}");
                fell_back.get_or_insert_with(|| format!("{device} does not work: {cause}"));
            }
        }
    }
    unreachable!("an order has a device, and the last one returns")
}

/// Returns an error's text with what is below it, in one line.
fn cause(error: &SessionError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text.lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(device: SessionDevice) -> SessionError {
        SessionError::Load { file: "model.onnx".into(), source: format!("no {device} here").into() }
    }

    fn config(device: config::DeviceChoice, require: bool) -> config::ClassifierConfig {
        config::ClassifierConfig { device, require, ..config::ClassifierConfig::of("tiny") }
    }

    /// Opens with devices of which only `working` do.
    fn choose(
        config: &config::ClassifierConfig,
        has_cuda: bool,
        working: &[SessionDevice],
    ) -> Result<DevicePlacement, SessionError> {
        let name = Name::new("default").expect("a name");
        let opened =
            open(&name, config, has_cuda, |device| if working.contains(&device) { Ok(()) } else { Err(fails(device)) });
        opened.map(|((), placement)| placement)
    }

    #[test]
    fn auto_takes_the_first_cuda_device() {
        let opened =
            choose(&config(config::DeviceChoice::Auto, false), true, &[SessionDevice::Cuda(0), SessionDevice::Cpu])
                .expect("cuda");

        assert_eq!((opened.device, opened.fell_back), (SessionDevice::Cuda(0), None));
    }

    #[test]
    fn auto_falls_back_to_the_cpu_and_says_why() {
        let opened = choose(&config(config::DeviceChoice::Auto, false), true, &[SessionDevice::Cpu]).expect("the CPU");

        assert_eq!(opened.device, SessionDevice::Cpu);
        let expected = "cuda:0 does not work: model.onnx cannot be loaded by ONNX Runtime: no cuda:0 here";
        assert_eq!(opened.fell_back.as_deref(), Some(expected));
    }

    #[test]
    fn auto_with_a_library_for_cpus_has_nothing_to_fall_back_from() {
        let opened = choose(&config(config::DeviceChoice::Auto, false), false, &[SessionDevice::Cpu]).expect("the CPU");

        assert_eq!((opened.device, opened.fell_back), (SessionDevice::Cpu, None));
    }

    #[test]
    fn a_named_device_falls_back_even_when_the_library_knows_none() {
        let opened =
            choose(&config(config::DeviceChoice::Cuda(1), false), false, &[SessionDevice::Cpu]).expect("the CPU");

        assert_eq!(opened.device, SessionDevice::Cpu);
        assert!(opened.fell_back.is_some());
    }

    #[test]
    fn tensorrt_falls_back_to_cuda_before_the_cpu() {
        let working = [SessionDevice::Cuda(0), SessionDevice::Cpu];

        let opened = choose(&config(config::DeviceChoice::Tensorrt, false), true, &working).expect("cuda");

        assert_eq!(opened.device, SessionDevice::Cuda(0));
        assert!(opened.fell_back.expect("a reason").starts_with("tensorrt does not work"));
    }

    #[test]
    fn a_required_device_does_not_fall_back() {
        let error =
            choose(&config(config::DeviceChoice::Cuda(1), true), true, &[SessionDevice::Cpu]).expect_err("required");

        assert_eq!(error.to_string(), "device cuda:1 is required and does not work");
    }

    #[test]
    fn a_model_that_works_nowhere_is_the_model_s_fault() {
        let error = choose(&config(config::DeviceChoice::Auto, false), true, &[]).expect_err("nothing works");

        assert_eq!(error.to_string(), "model.onnx cannot be loaded by ONNX Runtime");
    }
}
