//! WAV files as bytes: 16 bit, one channel.

use std::io::Cursor;

/// Why bytes are no WAV file that we read.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// The file is broken.
    #[error("broken WAV file: {0}")]
    Broken(hound::Error),
    /// It has another format than 16 bit integers on one channel.
    #[error("only 16 bit integers on one channel are read")]
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

/// Reads a file.
///
/// # Errors
/// [`WavError`]
pub fn read(bytes: &[u8]) -> Result<Wav, WavError> {
    let mut reader = hound::WavReader::new(Cursor::new(bytes)).map_err(WavError::Broken)?;
    let spec = reader.spec();
    let wanted = (spec.channels, spec.bits_per_sample, spec.sample_format);
    if wanted != (1, 16, hound::SampleFormat::Int) {
        return Err(WavError::Format);
    }
    let samples = reader.samples::<i16>().collect::<Result<_, _>>().map_err(WavError::Broken)?;
    Ok(Wav { rate: spec.sample_rate, samples })
}

/// Writes a file.
///
/// # Errors
/// [`WavError::Broken`] for more than 4 GB.
pub fn write(rate: u32, samples: &[i16]) -> Result<Vec<u8>, WavError> {
    let sample_format = hound::SampleFormat::Int;
    let spec =
        hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format };
    let mut out = Vec::with_capacity(44 + 2 * samples.len());
    let mut writer =
        hound::WavWriter::new(Cursor::new(&mut out), spec).map_err(WavError::Broken)?;
    for sample in samples {
        writer.write_sample(*sample).map_err(WavError::Broken)?;
    }
    writer.finalize().map_err(WavError::Broken)?;
    Ok(out)
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
}
