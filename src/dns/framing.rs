//! Messages in a TCP stream: two bytes with the length before each.

/// A message as it goes out by TCP. One that is longer than a length can say is cut.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let message = &message[..usize::from(length)];
    [length.to_be_bytes().as_slice(), message].concat()
}

/// What has arrived of a stream. Holds two messages at most, if it is emptied after each read.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// Takes in what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        let length: &[u8; 2] = self.bytes.first_chunk()?;
        let end = 2 + usize::from(u16::from_be_bytes(*length));
        if self.bytes.len() < end {
            return None;
        }
        let rest = self.bytes.split_off(end);
        let mut message = std::mem::replace(&mut self.bytes, rest);
        message.drain(..2);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_a_stream_gives_the_same_messages() {
        let messages = [&b"one"[..], b"", b"three"];
        let stream: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
        for size in 1..stream.len() {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for piece in stream.chunks(size) {
                frames.push(piece);
                found.extend(std::iter::from_fn(|| frames.pop()));
            }
            assert_eq!(found, messages);
        }
        assert_eq!(framed(&[0; 70_000]).len(), 65_537);
    }
}
