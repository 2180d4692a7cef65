//! The folder of sounds that `play media` plays.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::time::Duration;
use media::{Sound, SoundError};

/// The longest sound: it stays in memory.
const LONGEST: Duration = Duration::from_secs(3600);

/// Sounds by name: `hold.wav` is `hold`.
pub type Sounds = Arc<BTreeMap<String, Sound>>;

/// Why they cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum SoundsError {
    /// The system does not give the folder or a file.
    #[error("{}: {error}; `sounds` of [media] names a folder of WAV files", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is none that can be played.
    #[error("{}: {error}; `ffmpeg -i FILE -c:a pcm_s16le -ar 16000 {}` makes one that can be played", path.display(), path.display())]
    Sound {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: SoundError,
    },
    /// A file is too long to stay in memory.
    #[error("{}: {} s are too long to be played; an hour can be", path.display(), duration.as_secs())]
    Long {
        /// Which one.
        path: PathBuf,
        /// How long it is.
        duration: Duration,
    },
}

/// Reads all WAV files of a folder; none without a folder.
///
/// # Errors
/// [`SoundsError`], of the first file that cannot be played.
pub fn load(folder: Option<&Path>) -> Result<Sounds, SoundsError> {
    let Some(folder) = folder else { return Ok(Sounds::default()) };
    let unreadable = |path: &Path, error| SoundsError::Unreadable { path: path.to_owned(), error };
    let mut sounds = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let is_wav = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("wav"));
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_wav) else {
            continue;
        };
        let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, error))?;
        let sound = Sound::read(&bytes)
            .map_err(|error| SoundsError::Sound { path: path.clone(), error })?;
        let duration = sound.duration();
        if duration > LONGEST {
            return Err(SoundsError::Long { path, duration });
        }
        sounds.insert(name.to_owned(), sound);
    }
    Ok(Arc::new(sounds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn a_folder_is_read() {
        let name = format!("strowger-sounds-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        assert!(load(None).unwrap().is_empty());
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.join(name), bytes).unwrap();
            load(Some(&folder))
        };
        let second = rtp::wav::write(8000, &[1; 8000]).unwrap();
        let sounds = write("hold.wav", &second).unwrap();
        assert_eq!(sounds["hold"].duration(), Duration::from_secs(1));
        assert_eq!(write("read me.txt", b"no sound").unwrap().len(), 1);
        assert_eq!(write("Bell.WAV", &second).unwrap().len(), 2);
        let odd = write("odd.wav", &rtp::wav::write(7999, &[1; 8000]).unwrap()).unwrap_err();
        assert!(odd.to_string().contains("odd.wav: 7999 samples"), "{odd}");
        let broken = write("odd.wav", b"RIFF").unwrap_err();
        assert!(broken.to_string().contains("odd.wav: broken WAV file"), "{broken}");
        let nowhere = load(Some(&folder.join("nowhere"))).unwrap_err();
        assert!(nowhere.to_string().contains("`sounds` of [media]"), "{nowhere}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
