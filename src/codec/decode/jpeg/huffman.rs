//! Huffman codes of a JPEG and the bits they are read from (ITU-T T.81, annexes C and F.2.2).

/// What is wrong with entropy-coded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ends too early.
    Short,
    /// It has a code that stands for nothing.
    Code,
    /// It goes on too long.
    Left,
}

/// Bits of a code that one look tells.
const QUICK: u32 = 9;

/// A table of codes.
pub(super) struct Codes {
    /// Length and symbol of what begins with so many bits; a length of 0 for longer codes.
    quick: [(u8, u8); 1 << QUICK],
    /// By length: one more than its largest code, left-aligned to 16 bits, and what leads from a code to its symbol's place.
    ends: [u32; 17],
    places: [i32; 17],
    symbols: Vec<u8>,
}

impl Codes {
    /// A table as a segment has it: how many codes there are of each length from 1 to 16, then the symbols; and what lies behind it.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (counts, rest) = bytes.split_first_chunk::<16>()?;
        let total = counts.iter().map(|&count| usize::from(count)).sum();
        let (symbols, rest) = rest.split_at_checked(total)?;
        let mut codes = Self { quick: [(0, 0); 1 << QUICK], ends: [0; 17], places: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, &count) in (1_u32..).zip(counts) {
            codes.places[length as usize] = place as i32 - code as i32;
            for &symbol in &symbols[place..place + usize::from(count)] {
                if let Some(shift) = QUICK.checked_sub(length) {
                    let first = (code << shift) as usize;
                    codes.quick.get_mut(first..first + (1 << shift))?.fill((length as u8, symbol));
                }
                code += 1;
            }
            place += usize::from(count);
            // More codes than bits can tell apart.
            if code > 1 << length {
                return None;
            }
            codes.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some((codes, rest))
    }

    /// The largest symbol.
    pub(super) fn largest(&self) -> u8 {
        self.symbols.iter().copied().max().unwrap_or(0)
    }
}

/// Bits of an interval, stuffed zeros left out.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, from the highest on; zeros behind them.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// Of data without markers.
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, buffer: 0, count: 0 }
    }

    /// Makes 32 bits ready, if there are as many.
    #[inline]
    fn fill(&mut self) {
        if self.count >= 32 {
            return;
        }
        if let Some(&four) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<4>()) {
            let word = u32::from_be_bytes(four);
            // No byte of all ones among them, of which one in some 200 is.
            if (!word).wrapping_sub(0x0101_0101) & word & 0x8080_8080 == 0 {
                self.buffer |= u64::from(word) << (32 - self.count);
                self.count += 32;
                self.at += 4;
                return;
            }
        }
        while self.count <= 56 {
            let Some(&byte) = self.data.get(self.at) else { return };
            self.at += if byte == 0xFF { 2 } else { 1 };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline]
    fn drop_bits(&mut self, count: u32) -> Result<(), Fault> {
        self.count = self.count.checked_sub(count).ok_or(Fault::Short)?;
        self.buffer <<= count;
        Ok(())
    }

    /// The symbol of the next code.
    #[inline]
    pub(super) fn symbol(&mut self, codes: &Codes) -> Result<u8, Fault> {
        self.code(codes, |_| 0)
    }

    /// The same, and past the bits that follow it: as many as its low four bits say.
    #[inline]
    pub(super) fn pass(&mut self, codes: &Codes) -> Result<u8, Fault> {
        self.code(codes, |symbol| u32::from(symbol & 0xF))
    }

    /// The symbol of the next code, and past as many bits, 15 at most, as `behind` says of it.
    #[inline(always)]
    fn code(&mut self, codes: &Codes, behind: impl Fn(u8) -> u32) -> Result<u8, Fault> {
        self.fill();
        let (length, symbol) = codes.quick[(self.buffer >> (64 - QUICK)) as usize];
        if length > 0 {
            // Both at once: at most 9 and 15 of the 32 bits that are ready.
            self.drop_bits(u32::from(length) + behind(symbol))?;
            return Ok(symbol);
        }
        let ahead = (self.buffer >> 48) as u32;
        for length in QUICK + 1..=16 {
            if ahead < codes.ends[length as usize] {
                let code = (ahead >> (16 - length)) as i32;
                let &symbol = codes.symbols.get((code + codes.places[length as usize]) as usize).ok_or(Fault::Code)?;
                self.drop_bits(length + behind(symbol))?;
                return Ok(symbol);
            }
        }
        // What is missing at the end reads as zeros, which may be no code.
        Err(if self.count < 16 { Fault::Short } else { Fault::Code })
    }

    /// Passes over at most 16 bits.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) -> Result<(), Fault> {
        if self.count < count {
            self.fill();
        }
        self.drop_bits(count)
    }

    /// At most 16 bits as a number.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Fault> {
        if self.count < count {
            self.fill();
        }
        let value = if count == 0 { 0 } else { (self.buffer >> (64 - count)) as u32 };
        self.drop_bits(count)?;
        Ok(value)
    }

    /// Whether nothing follows but the bits that fill a byte and at most so many bytes of zeros or ones.
    pub(super) fn finish(&self, padding: usize) -> Result<(), Fault> {
        let whole = self.count / 8;
        let ready = self.buffer << (self.count % 8);
        let ready = ready.to_be_bytes();
        let mut rest = ready[..whole as usize].iter().chain(self.data.get(self.at..).unwrap_or(&[]));
        let is_padding = rest.clone().count() <= padding && rest.all(|byte| matches!(byte, 0 | 0xFF));
        if is_padding { Ok(()) } else { Err(Fault::Left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 00, 01, 100, 1010 and ten bits of 1011111111 for the symbols 1 to 5.
    fn codes() -> Codes {
        let mut table = vec![0, 2, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        table.extend([1, 2, 3, 4, 5]);
        Codes::read(&table).unwrap().0
    }

    #[test]
    fn codes_of_every_length_are_read_and_others_stand_for_nothing() {
        let codes = codes();
        // 01, 00, 100, 1010, 1011000000 (the first of ten bits), then 11.
        let data = [0b0100_1001, 0b0101_0110, 0b0000_0111, 0xFF, 0x00, 0xFF, 0x00];
        let mut bits = Bits::new(&data);
        let read: Vec<u8> = (0..5).map(|_| bits.symbol(&codes).unwrap()).collect();
        assert_eq!(read, [2, 1, 3, 4, 5]);
        assert_eq!(bits.symbol(&codes), Err(Fault::Code));
        assert!(Codes::read(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]).is_none(), "three codes of one bit");
        assert!(Codes::read(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_none(), "a symbol is missing");
    }

    #[test]
    fn stuffed_zeros_are_no_bits_and_the_end_is_the_end() {
        let data = [0x12, 0xFF, 0x00, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0xDE];
        let mut bits = Bits::new(&data);
        let read: Vec<u32> = (0..4).map(|_| bits.take(16).unwrap()).collect();
        assert_eq!(read, [0x12FF, 0x3456, 0x789A, 0xBCDE]);
        assert_eq!(bits.take(1), Err(Fault::Short));
        assert_eq!(Bits::new(&[0xA0]).symbol(&codes()), Ok(4));
    }

    #[test]
    fn padding_may_follow_and_data_may_not() {
        let left = |data: &[u8], read: u32| {
            let mut bits = Bits::new(data);
            bits.skip(read).unwrap();
            bits.finish(4)
        };
        assert_eq!(left(&[0x12, 0x3F], 12), Ok(()), "the rest of a byte");
        assert_eq!(left(&[0x12, 0x3F, 0, 0, 0xFF, 0], 12), Ok(()), "four of padding");
        assert_eq!(left(&[0x12, 0x3F, 0, 0, 0, 0, 0], 12), Err(Fault::Left), "more than four");
        assert_eq!(left(&[0x12, 0x34], 8), Err(Fault::Left));
        assert_eq!(left(&[0x12; 20], 8), Err(Fault::Left));
    }
}
