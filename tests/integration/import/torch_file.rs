//! A file as `torch.save` writes it: a zip archive of stored entries, each begun at a multiple of 64 bytes and followed by
//! its lengths, and a pickle of protocol 2 that names the tensors.

use std::io::Write;

/// A tensor to be written: name, shape, element type, numbers.
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub storage: &'static str,
    pub data: Vec<u8>,
}

/// How the dictionary of tensors lies in the file.
#[derive(Debug, Clone, Copy)]
pub enum Layout {
    /// `{"params": {…}}`
    Params,
    /// The dictionary itself.
    Bare,
    /// The dictionary itself, `module.` in front of every name.
    Module,
}

/// Writes a checkpoint; `tensors` gives one at a time.
pub fn save(to: &mut impl Write, layout: Layout, shapes: &[(String, Vec<usize>, &'static str)], data: impl Fn(usize) -> Vec<u8>) {
    let mut zip = Zip::new(to);
    zip.entry("archive/data.pkl", &pickle(layout, shapes));
    zip.entry("archive/.format_version", b"1");
    zip.entry("archive/.storage_alignment", b"64");
    zip.entry("archive/byteorder", b"little");
    for index in 0..shapes.len() {
        zip.entry(&format!("archive/data/{index}"), &data(index));
    }
    zip.entry("archive/version", b"3\n");
    zip.finish();
}

/// The same of tensors in memory.
pub fn file(layout: Layout, tensors: &[Tensor]) -> Vec<u8> {
    let shapes: Vec<_> = tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone(), tensor.storage)).collect();
    let mut file = Vec::new();
    save(&mut file, layout, &shapes, |index| tensors[index].data.clone());
    file
}

/// An archive of any entries, stored.
pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut zip = Zip::new(&mut file);
    entries.iter().for_each(|(name, data)| zip.entry(name, data));
    zip.finish();
    file
}

/// The pickle stream of a state dict.
pub fn pickle(layout: Layout, shapes: &[(String, Vec<usize>, &'static str)]) -> Vec<u8> {
    let mut out = Pickle { bytes: b"\x80\x02".to_vec(), memo: 0 };
    let prefix = if matches!(layout, Layout::Module) { "module." } else { "" };
    if matches!(layout, Layout::Params) {
        out.op(b"}");
        out.put();
        out.text("params");
    }
    out.op(b"ccollections\nOrderedDict\n");
    out.put();
    out.op(b")R");
    out.put();
    out.op(b"(");
    for (index, (name, shape, storage)) in shapes.iter().enumerate() {
        out.text(&format!("{prefix}{name}"));
        out.op(b"ctorch._utils\n_rebuild_tensor_v2\n");
        out.put();
        out.op(b"((");
        out.text("storage");
        out.op(format!("ctorch\n{storage}\n").as_bytes());
        out.put();
        out.text(&index.to_string());
        out.text("cpu");
        out.int(product(shape));
        out.op(b"t");
        out.put();
        out.op(b"QK\0");
        out.tuple(shape);
        let strides: Vec<usize> = (0..shape.len()).map(|axis| product(&shape[axis + 1..])).collect();
        out.tuple(&strides);
        out.op(b"\x89ccollections\nOrderedDict\n)Rt");
        out.put();
        out.op(b"R");
        out.put();
    }
    out.op(b"u");
    if matches!(layout, Layout::Params) {
        out.op(b"s");
    }
    out.op(b".");
    out.bytes
}

/// Shapes may be absurd.
fn product(shape: &[usize]) -> usize {
    shape.iter().fold(1, |product, &n| product.wrapping_mul(n))
}

struct Pickle {
    bytes: Vec<u8>,
    memo: u32,
}

impl Pickle {
    fn op(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// BINPUT or LONG_BINPUT of the next free slot.
    fn put(&mut self) {
        match u8::try_from(self.memo) {
            Ok(slot) => self.op(&[b'q', slot]),
            Err(_) => self.op(&[b"r".as_slice(), &self.memo.to_le_bytes()].concat()),
        }
        self.memo += 1;
    }

    fn text(&mut self, text: &str) {
        self.op(&[b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat());
        self.put();
    }

    fn int(&mut self, value: usize) {
        match (u8::try_from(value), u16::try_from(value), i32::try_from(value)) {
            (Ok(value), ..) => self.op(&[b'K', value]),
            (_, Ok(value), _) => self.op(&[b"M".as_slice(), &value.to_le_bytes()].concat()),
            (.., Ok(value)) => self.op(&[b"J".as_slice(), &value.to_le_bytes()].concat()),
            _ => self.op(&[b"\x8a\x09".as_slice(), &value.to_le_bytes(), b"\0"].concat()),
        }
    }

    fn tuple(&mut self, values: &[usize]) {
        match values.len() {
            0 => return self.op(b")"),
            1..=3 => {}
            _ => self.op(b"("),
        }
        values.iter().for_each(|&value| self.int(value));
        self.op([b"t".as_slice(), b"\x85", b"\x86", b"\x87"][if values.len() > 3 { 0 } else { values.len() }]);
        self.put();
    }
}

struct Zip<'w, W: Write> {
    to: &'w mut W,
    at: u64,
    directory: Vec<u8>,
    entries: u16,
}

impl<'w, W: Write> Zip<'w, W> {
    fn new(to: &'w mut W) -> Self {
        Self { to, at: 0, directory: Vec::new(), entries: 0 }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.to.write_all(bytes).unwrap();
        self.at += bytes.len() as u64;
    }

    fn entry(&mut self, name: &str, data: &[u8]) {
        let (offset, crc, length) = (self.at as u32, crc32fast::hash(data).to_le_bytes(), (data.len() as u32).to_le_bytes());
        let names = (name.len() as u16).to_le_bytes();
        // Flags: lengths follow the data, names are UTF-8. Version 0, method 0, no time: as PyTorch writes them.
        let flags = [0, 0, 0x08, 0x08, 0, 0, 0, 0, 0, 0];
        let data_at = self.at + 30 + name.len() as u64 + 4;
        let padding = (64 - data_at % 64) % 64;
        let extra = [b"FB".as_slice(), &(padding as u16).to_le_bytes(), &vec![b'Z'; padding as usize]].concat();
        self.put(b"PK\x03\x04");
        self.put(&flags);
        self.put(&[0; 12]);
        self.put(&names);
        self.put(&(extra.len() as u16).to_le_bytes());
        self.put(name.as_bytes());
        self.put(&extra);
        self.put(data);
        let lengths = [crc, length, length].concat();
        self.put(b"PK\x07\x08");
        self.put(&lengths);
        let central = [b"PK\x01\x02\0\0".as_slice(), &flags, &lengths, &names, &[0; 12], &offset.to_le_bytes(), name.as_bytes()];
        self.directory.extend(central.concat());
        self.entries += 1;
    }

    fn finish(mut self) {
        let (directory, offset) = (std::mem::take(&mut self.directory), self.at as u32);
        self.put(&directory);
        let count = self.entries.to_le_bytes();
        let end =
            [b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count, &(directory.len() as u32).to_le_bytes(), &offset.to_le_bytes()];
        self.put(&end.concat());
        self.put(&[0, 0]);
    }
}
