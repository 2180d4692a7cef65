//! WAV files as bytes: 16 bit; what is written has one channel.

use std::io::{Cursor, Seek, Write};

/// Why bytes are no WAV file that we read.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// The file is broken.
    #[error("broken WAV file: {0}")]
    Broken(hound::Error),
    /// It has another format than 16 bit integers.
    #[error("only 16 bit integers are read")]
    Format,
}

/// Sound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wav {
    /// Samples in a second.
    pub rate: u32,
    /// The samples.
    pub samples: Vec<i16>,
}

/// Reads a file. Several channels become one, their mean.
///
/// # Errors
/// [`WavError`]
pub fn read(bytes: &[u8]) -> Result<Wav, WavError> {
    let mut reader = hound::WavReader::new(Cursor::new(bytes)).map_err(WavError::Broken)?;
    let spec = reader.spec();
    let wanted = (spec.bits_per_sample, spec.sample_format);
    if wanted != (16, hound::SampleFormat::Int) || spec.channels == 0 {
        return Err(WavError::Format);
    }
    let all: Vec<i16> =
        reader.samples::<i16>().collect::<Result<_, _>>().map_err(WavError::Broken)?;
    let channels = usize::from(spec.channels);
    let mean = |frame: &[i16]| {
        let sum: i64 = frame.iter().map(|sample| i64::from(*sample)).sum();
        (sum / frame.len() as i64) as i16
    };
    let samples = all.chunks_exact(channels).map(mean).collect();
    Ok(Wav { rate: spec.sample_rate, samples })
}

/// Writes a file.
///
/// # Errors
/// [`WavError::Broken`] for more than 4 GB.
pub fn write(rate: u32, samples: &[i16]) -> Result<Vec<u8>, WavError> {
    let mut out = Vec::with_capacity(44 + 2 * samples.len());
    let mut file = Growing::new(Cursor::new(&mut out), rate, 1)?;
    file.write(samples)?;
    file.finish()?;
    Ok(out)
}

/// A file that grows.
pub struct Growing<W: Write + Seek>(hound::WavWriter<W>);

impl<W: Write + Seek> Growing<W> {
    /// A file with so many samples of each channel in a second.
    ///
    /// # Errors
    /// [`WavError::Broken`] if it cannot be written.
    pub fn new(file: W, rate: u32, channels: u16) -> Result<Growing<W>, WavError> {
        let sample_format = hound::SampleFormat::Int;
        let spec =
            hound::WavSpec { channels, sample_rate: rate, bits_per_sample: 16, sample_format };
        hound::WavWriter::new(file, spec).map(Growing).map_err(WavError::Broken)
    }

    /// More samples; those of all channels one after the other.
    ///
    /// # Errors
    /// [`WavError::Broken`] if they cannot be written, or for more than 4 GB.
    pub fn write(&mut self, samples: &[i16]) -> Result<(), WavError> {
        samples.iter().try_for_each(|sample| self.0.write_sample(*sample)).map_err(WavError::Broken)
    }

    /// What there is can be read.
    ///
    /// # Errors
    /// [`WavError::Broken`] if it cannot be written.
    pub fn flush(&mut self) -> Result<(), WavError> {
        self.0.flush().map_err(WavError::Broken)
    }

    /// It grows no more.
    ///
    /// # Errors
    /// [`WavError::Broken`] if it cannot be written.
    pub fn finish(self) -> Result<(), WavError> {
        self.0.finalize().map_err(WavError::Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN];
        let bytes = write(8000, &samples).unwrap();
        assert_eq!(read(&bytes).unwrap(), Wav { rate: 8000, samples: samples.to_vec() });
        assert!(read(&bytes[..20]).is_err());
        assert!(read(b"").is_err());
    }

    #[test]
    fn several_channels_become_one() {
        let sample_format = hound::SampleFormat::Int;
        let spec =
            hound::WavSpec { channels: 2, sample_rate: 8000, bits_per_sample: 16, sample_format };
        let mut bytes = Vec::new();
        let mut writer = hound::WavWriter::new(Cursor::new(&mut bytes), spec).unwrap();
        for sample in [100, 200, i16::MIN, i16::MIN] {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
        assert_eq!(read(&bytes).unwrap().samples, [150, i16::MIN]);
    }
}
