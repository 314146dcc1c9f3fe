//! Walks the entropy-coded data of a JPEG (ITU-T T.81, annexes F and G): every code of every block is read and none is made a
//! coefficient, so that data which was cut, overwritten or left out is known before a forgiving decoder fills it with something.
//!
//! Each restart interval must hold exactly its blocks, restart markers must come in turn, and the scans of a progressive picture must
//! build on one another.

use super::frame::{Component, Frame, damaged, next_ff};
use super::huffman::{Bits, Codes, Fault};
use crate::codec::{DecodeError, Format};
use crate::imaging::Size;

/// Bytes of zeros or ones that may stand behind the last block of an interval: some writers fill up to whole words.
const PADDING: usize = 16;

/// Most scans of a picture: as many as the decoder behind takes. Writers make some ten.
const MOST_SCANS: usize = 100;

/// Largest number of bits that a first scan may leave to later ones (G.1.1.1.1).
const MOST_LEFT: u8 = 13;

/// What has been read of a picture's scans.
pub(super) struct Walk<'a> {
    frame: &'a Frame,
    dc: [Option<Box<Codes>>; 4],
    ac: [Option<Box<Codes>>; 4],
    /// Minimum coded units between restart markers; 0 for none.
    restart: u32,
    scans: usize,
    /// Of each component, how many bits of each coefficient are left to later scans, once it was begun.
    left: Vec<[Option<u8>; 64]>,
    /// Of each component of a progressive picture, which coefficients of its blocks are not 0 so far.
    set: Vec<Vec<u64>>,
}

/// A scan's header.
struct Scan {
    /// Which component of the frame, and its tables.
    components: Vec<(usize, usize, usize)>,
    first: u8,
    last: u8,
    /// Bits that an earlier scan had left, 0 for a first one, and those that this one leaves.
    high: u8,
    low: u8,
}

impl<'a> Walk<'a> {
    pub(super) fn new(frame: &'a Frame) -> Self {
        let mut walk = Self {
            frame,
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            restart: 0,
            scans: 0,
            left: vec![[None; 64]; frame.components.len()],
            set: Vec::new(),
        };
        if frame.progressive {
            let units = frame.units().pixels() as usize;
            let blocks = |one: &Component| units * usize::from(one.horizontal) * usize::from(one.vertical);
            walk.set = frame.components.iter().map(|one| vec![0; blocks(one)]).collect();
        }
        walk
    }

    /// Tables of codes (DHT).
    pub(super) fn tables(&mut self, mut payload: &[u8]) -> Result<(), DecodeError> {
        while let [kind, rest @ ..] = payload {
            let (codes, after) = Codes::read(rest).ok_or_else(|| damaged("a table of codes is not one"))?;
            // Differences of 8-bit samples have at most 11 bits; libjpeg lets 15 pass.
            if kind >> 4 == 0 && codes.largest() > 15 {
                return Err(damaged("a table of codes is not one"));
            }
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let place = tables.get_mut(usize::from(kind & 0xF)).filter(|_| kind >> 4 < 2);
            *place.ok_or_else(|| damaged("a table of codes has a number that no scan can name"))? = Some(Box::new(codes));
            payload = after;
        }
        Ok(())
    }

    /// The restart interval (DRI).
    pub(super) fn restart_interval(&mut self, payload: &[u8]) -> Result<(), DecodeError> {
        let [high, low] = *payload else { return Err(damaged("its restart interval is not one")) };
        self.restart = u32::from(u16::from_be_bytes([high, low]));
        Ok(())
    }

    /// A scan: its header's payload, and the data up to the next marker that is no restart.
    pub(super) fn scan(&mut self, header: &[u8], data: &[u8]) -> Result<(), DecodeError> {
        self.scans += 1;
        if self.scans > MOST_SCANS {
            return Err(damaged(format!("it has more than {MOST_SCANS} scans")));
        }
        let scan = self.header(header)?;
        self.note(&scan)?;
        let grid = match &scan.components[..] {
            [(one, ..)] => self.blocks_of(&self.frame.components[*one]),
            _ => self.frame.units(),
        };
        let mut rest = data;
        let (mut done, total, mut turn) = (0, grid.pixels() as usize, 0);
        while done < total {
            let count = if self.restart == 0 { total } else { (self.restart as usize).min(total - done) };
            let (interval, marker, behind) = split(rest);
            let mut bits = Bits::new(interval);
            let walked = self.interval(&scan, grid.width as usize, done..done + count, &mut bits);
            walked.and_then(|()| bits.finish(PADDING)).map_err(|fault| self.fault(fault))?;
            done += count;
            rest = behind;
            match marker {
                Some(marker) if done < total && marker != turn => {
                    return Err(damaged(format!("restart markers are out of turn in its scan {}", self.scans)));
                }
                // Only the last interval ends with the scan.
                None if done < total => return Err(self.fault(Fault::Short)),
                _ => turn = (turn + 1) % 8,
            }
        }
        // Fill bytes may stand before the marker that ends the scan.
        if rest.iter().all(|&byte| byte == 0xFF) { Ok(()) } else { Err(self.fault(Fault::Left)) }
    }

    /// Whether every coefficient of every component has all its bits.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        let Some(component) = self.left.iter().position(|left| left.iter().any(|left| *left != Some(0))) else { return Ok(()) };
        let name = ["first", "second", "third", "fourth"].get(component).copied().unwrap_or("last");
        Err(DecodeError::truncated(Format::Jpeg, format!("scans of its {name} component are missing")))
    }

    fn fault(&self, fault: Fault) -> DecodeError {
        let scan = self.scans;
        match fault {
            Fault::Short => {
                DecodeError::truncated(Format::Jpeg, format!("the data of its scan {scan} ends before its picture does"))
            }
            Fault::Code => damaged(format!("the data of its scan {scan} holds a code that stands for nothing")),
            Fault::Left => damaged(format!("the data of its scan {scan} goes on behind its picture")),
        }
    }

    fn header(&self, payload: &[u8]) -> Result<Scan, DecodeError> {
        let bad = || damaged("a scan header is not one");
        let count = usize::from(*payload.first().ok_or_else(bad)?);
        let [first, last, approximation] = *payload.get(1 + 2 * count..).ok_or_else(bad)? else { return Err(bad()) };
        if count == 0 || first > last || last > 63 {
            return Err(bad());
        }
        let mut components = Vec::with_capacity(count);
        for selector in payload[1..].chunks_exact(2).take(count) {
            let component = self.frame.components.iter().position(|component| component.id == selector[0]).ok_or_else(bad)?;
            components.push((component, usize::from(selector[1] >> 4), usize::from(selector[1] & 0xF)));
        }
        Ok(Scan { components, first, last, high: approximation >> 4, low: approximation & 0xF })
    }

    /// Notes what a scan adds, if it can follow those before.
    fn note(&mut self, scan: &Scan) -> Result<(), DecodeError> {
        let Scan { first, last, high, low, .. } = *scan;
        if !self.frame.progressive {
            for &(component, ..) in &scan.components {
                if self.left[component][0].is_some() {
                    return Err(damaged("a component of its picture comes twice"));
                }
                self.left[component] = [Some(0); 64];
            }
            return Ok(());
        }
        let bad = || damaged("a scan header is not one");
        let is_dc = first == 0;
        if is_dc && last != 0 || !is_dc && scan.components.len() != 1 || low > MOST_LEFT || high > 0 && high != low + 1 {
            return Err(bad());
        }
        for &(component, ..) in &scan.components {
            let left = &mut self.left[component];
            let builds = |left: &Option<u8>| left.unwrap_or(0) == high && left.is_some() == (high > 0);
            let has_dc = is_dc || left[0].is_some();
            if !has_dc || !left[usize::from(first)..=usize::from(last)].iter().all(builds) {
                // What it builds on was left out, or came twice.
                return Err(DecodeError::truncated(Format::Jpeg, "a scan is missing before another that builds on it"));
            }
            left[usize::from(first)..=usize::from(last)].fill(Some(low));
        }
        Ok(())
    }

    /// Blocks of a component in a scan of its own (A.2.2).
    fn blocks_of(&self, one: &Component) -> Size {
        let (across, down) = self.frame.factors();
        let blocks = |side: u32, own: u8, most: u32| (side * u32::from(own)).div_ceil(most).div_ceil(8);
        let size = self.frame.size;
        Size::new(blocks(size.width, one.horizontal, across), blocks(size.height, one.vertical, down))
    }

    /// The blocks of some units, of which `across` lie side by side, in the order of their data.
    fn interval(&mut self, scan: &Scan, across: usize, units: std::ops::Range<usize>, bits: &mut Bits<'_>) -> Result<(), Fault> {
        let alone = scan.components.len() == 1;
        let row = self.frame.units().width as usize;
        // Blocks left over of a run of empty ones.
        let mut run = 0_u32;
        for unit in units {
            let (x, y) = (unit % across, unit / across);
            for &(component, dc, ac) in &scan.components {
                let one = &self.frame.components[component];
                let (wide, high) = (usize::from(one.horizontal), usize::from(one.vertical));
                let (dc, ac) = (self.dc.get(dc).and_then(Option::as_deref), self.ac.get(ac).and_then(Option::as_deref));
                if !self.frame.progressive {
                    let (dc, ac) = (dc.ok_or(Fault::Code)?, ac.ok_or(Fault::Code)?);
                    for _ in 0..if alone { 1 } else { wide * high } {
                        sequential(bits, dc, ac)?;
                    }
                    continue;
                }
                if scan.first == 0 {
                    for _ in 0..if alone { 1 } else { wide * high } {
                        if scan.high > 0 {
                            bits.skip(1)?;
                        } else {
                            bits.pass(dc.ok_or(Fault::Code)?)?;
                        }
                    }
                    continue;
                }
                // Coefficients beyond the first come one component at a time.
                let block = &mut self.set[component][y * row * wide + x];
                let ac = ac.ok_or(Fault::Code)?;
                if scan.high == 0 {
                    first_of(bits, ac, scan, block, &mut run)?;
                } else {
                    refined(bits, ac, scan, block, &mut run)?;
                }
            }
        }
        // A run of empty blocks ends with its interval.
        if run == 0 { Ok(()) } else { Err(Fault::Short) }
    }
}

/// A block with all its coefficients (F.2.2).
#[inline]
fn sequential(bits: &mut Bits<'_>, dc: &Codes, ac: &Codes) -> Result<(), Fault> {
    bits.pass(dc)?;
    let mut at = 1;
    while at < 64 {
        let symbol = bits.pass(ac)?;
        let (run, size) = (u32::from(symbol >> 4), symbol & 0xF);
        if size == 0 {
            if run != 15 {
                break;
            }
            at += 16;
            continue;
        }
        at += run + 1;
        if at > 64 {
            return Err(Fault::Code);
        }
    }
    Ok(())
}

/// The first bits of some coefficients of a block (G.1.2.2).
fn first_of(bits: &mut Bits<'_>, ac: &Codes, scan: &Scan, block: &mut u64, empty: &mut u32) -> Result<(), Fault> {
    if *empty > 0 {
        *empty -= 1;
        return Ok(());
    }
    let (mut at, last) = (u32::from(scan.first), u32::from(scan.last));
    while at <= last {
        let symbol = bits.pass(ac)?;
        let (run, size) = (u32::from(symbol >> 4), symbol & 0xF);
        match (size, run) {
            (0, 15) => at += 16,
            (0, run) => {
                *empty = (1 << run) + bits.take(run)? - 1;
                break;
            }
            (_, run) => {
                at += run;
                if at > last {
                    return Err(Fault::Code);
                }
                *block |= 1 << at;
                at += 1;
            }
        }
    }
    Ok(())
}

/// One more bit of some coefficients of a block (G.1.2.3): of those that are not 0 a bit each, and now and then a new one.
fn refined(bits: &mut Bits<'_>, ac: &Codes, scan: &Scan, block: &mut u64, empty: &mut u32) -> Result<(), Fault> {
    let (mut at, last) = (u32::from(scan.first), u32::from(scan.last));
    let before = *block;
    let is_set = |at: u32| before >> at & 1 == 1;
    if *empty == 0 {
        while at <= last {
            let symbol = bits.symbol(ac)?;
            let (mut run, size) = (u32::from(symbol >> 4), u32::from(symbol & 0xF));
            match size {
                0 if run < 15 => {
                    *empty = (1 << run) + bits.take(run)?;
                    break;
                }
                0 => {}
                // The new one's sign.
                1 => bits.skip(1)?,
                _ => return Err(Fault::Code),
            }
            // Past as many zeros as the run says, correcting what is not 0 between them.
            while at <= last {
                if is_set(at) {
                    bits.skip(1)?;
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                at += 1;
            }
            if size == 1 {
                if at > last {
                    return Err(Fault::Code);
                }
                *block |= 1 << at;
            }
            at += 1;
        }
    }
    if *empty > 0 {
        let rest = if at > last { 0 } else { before >> at & (u64::MAX >> (63 - (last - at))) };
        for _ in 0..rest.count_ones() {
            bits.skip(1)?;
        }
        *empty -= 1;
    }
    Ok(())
}

/// Data up to the next marker or its fill bytes, which restart marker that is, and what lies behind it.
fn split(data: &[u8]) -> (&[u8], Option<u8>, &[u8]) {
    let mut at = 0;
    while let Some(found) = next_ff(data, at) {
        match data.get(found + 1) {
            Some(0) => at = found + 2,
            _ => {
                let marker = data[found..].iter().position(|&byte| byte != 0xFF).map(|ones| found + ones);
                let behind = marker.map_or(&[][..], |marker| &data[marker + 1..]);
                return (&data[..found], marker.map(|marker| data[marker] & 7), behind);
            }
        }
    }
    (data, None, &[])
}
