//! Files that are refused: damaged, hostile, or somebody else's.

use std::fs;

use super::*;
use crate::onnx::{FLOAT16, Small};

/// The small network with one tensor changed.
fn spoilt(name: &str, change: impl FnOnce(&mut Tensor)) -> Vec<u8> {
    let mut tensors = tensors(&small());
    change(tensors.iter_mut().find(|tensor| tensor.name == name).unwrap());
    torch_file::file(Layout::Params, &tensors)
}

fn filled(tensor: &mut Tensor, value: f32) {
    tensor.data = value.to_le_bytes().repeat(tensor.data.len() / 4);
}

#[test]
fn files_that_are_no_checkpoint_leave_no_trace() {
    let room = Room::new();
    let noise: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let cases: [(&str, &[u8], &str); 9] = [
        ("empty.pth", b"", "is not a PyTorch checkpoint, safetensors or ONNX"),
        ("noise.pth", &noise, "is not a PyTorch checkpoint, safetensors or ONNX"),
        ("noise.zip.pth", &[b"PK\x03\x04", noise.as_slice()].concat(), "is no sound checkpoint"),
        ("old.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "is in the old pickle format of PyTorch"),
        ("plain.pkl", b"\x80\x02}q\0.", "is in the old pickle format of PyTorch"),
        ("model.onnx", b"\x08\x08\x12\x07pytorch", "is not a whole ONNX file"),
        ("letter.docx", &archive(&[("word/document.xml", b"Dear Sir")]), "0 entries called data.pkl"),
        ("long.safetensors", b"\xff\xff\0\0\0\0\0\0{}", "its header is longer than the file"),
        ("json.safetensors", b"\x02\0\0\0\0\0\0\0{x", "is no sound checkpoint"),
    ];
    for (name, bytes, reason) in cases {
        let said = room.refuses(&room.put(name, bytes), "new", 1);
        assert!(said.contains(reason) && said.contains(name), "{name}: {said}");
    }
    let said = room.refuses(&room.bench.path().join("nowhere.pth"), "new", 1);
    assert!(said.contains("nowhere.pth cannot be read"), "{said}");
    let said = room.refuses(room.bench.path(), "new", 1);
    assert!(said.contains("it is not a file"), "{said}");
}

#[test]
fn onnx_files_that_cannot_colour_alone_leave_no_trace() {
    let room = Room::new();
    let outside = Small { external: Some("weights.bin"), ..Small::new() }.encode();
    let said = room.refuses(&room.put("outside.onnx", &outside), "new", 1);
    assert!(said.contains("refers to file weights.bin outside itself"), "{said}");
    let grey = Small { channels: 1, ..Small::new() }.encode();
    let said = room.refuses(&room.put("grey.onnx", &grey), "new", 1);
    assert!(said.contains("instead of [1, 3, height, width]"), "{said}");
    let hot = Small { inside: FLOAT16, io: FLOAT16, gain: 1e4, ..Small::new() }.encode();
    let said = room.refuses(&room.put("hot.onnx", &hot), "new", 1);
    assert!(said.contains("failed its trial") && said.contains("not finite"), "{said}");
}

#[test]
fn a_pickle_that_calls_something_is_refused_by_name() {
    let room = Room::new();
    let sound = torch_file::pickle(Layout::Bare, &[]);
    // The call stands before a dictionary that is as it should be, and its result is dropped.
    let hostile = [b"\x80\x02cposix\nsystem\nX\x0d\0\0\0touch /tmp/pwn\x85R0".as_slice(), &sound[2..]].concat();
    let said = room.refuses(&room.put("hostile.pth", &archive(&[("archive/data.pkl", &hostile)])), "new", 1);
    assert!(said.contains("wants to call posix.system"), "{said}");
    let class = [b"\x80\x02c__main__\nDDColor\n)\x81".as_slice(), &sound[2..]].concat();
    let said = room.refuses(&room.put("whole.pth", &archive(&[("m/data.pkl", &class)])), "new", 1);
    assert!(said.contains("wants to call __main__.DDColor"), "{said}");
}

#[test]
fn archives_that_claim_more_than_they_hold_are_refused() {
    let room = Room::new();
    let whole = torch_file::file(Layout::Params, &tensors(&small()));
    // Deflated, and so able to claim any length: method 8 in the central directory's first entry.
    let mut bomb = whole.clone();
    let directory = bomb.windows(4).rposition(|bytes| bytes == b"PK\x05\x06").unwrap();
    let first = bomb.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    assert!(first < directory);
    bomb[first + 10] = 8;
    bomb[first + 24..first + 28].copy_from_slice(&u32::MAX.to_le_bytes());
    let said = room.refuses(&room.put("bomb.pth", &bomb), "new", 1);
    assert!(said.contains("is no sound checkpoint"), "{said}");
    // Every length a gigabyte.
    let mut claims = whole.clone();
    claims[first + 20..first + 28].copy_from_slice(&[0, 0, 0, 0x40, 0, 0, 0, 0x40]);
    let said = room.refuses(&room.put("claims.pth", &claims), "new", 1);
    assert!(said.contains("more than the file has"), "{said}");
    let long = [b"\x80\x02", b"]".repeat(3 << 20).as_slice(), b"."].concat();
    let said = room.refuses(&room.put("long.pth", &archive(&[("archive/data.pkl", &long)])), "new", 1);
    assert!(said.contains("a pickle of"), "{said}");
}

#[test]
fn tensors_that_are_no_network_are_refused_all_in_one_line() {
    let room = Room::new();
    let other: Vec<Tensor> = (0..312)
        .map(|i| Tensor { name: format!("model.{i}.weight"), shape: vec![4], storage: "FloatStorage", data: vec![0; 16] })
        .collect();
    let said = room.refuses(&room.put("lab.pth", &torch_file::file(Layout::Bare, &other)), "new", 1);
    assert!(said.contains("not a DDColor network: 312 keys unknown, first model.0.weight"), "{said}");
    let mut some = tensors(&small());
    some.retain(|tensor| tensor.name != "refine_net.0.0.bias");
    some.push(Tensor { name: "ema.step".into(), shape: vec![1], storage: "FloatStorage", data: vec![0; 4] });
    let at = some.iter().position(|tensor| tensor.name == "decoder.layers.1.bn.weight").unwrap();
    some[at].shape = vec![1];
    let said = room.refuses(&room.put("some.pth", &torch_file::file(Layout::Bare, &some)), "new", 1);
    for part in ["refine_net.0.0.bias is missing", "decoder.layers.1.bn.weight is 1 instead of", "ema.step is surplus"] {
        assert!(said.contains(part), "{said}");
    }
    // A view of one number that claims a whole layer, and shapes that no memory could hold.
    for shape in [vec![1 << 40, 1 << 40], vec![usize::MAX >> 1], vec![1 << 31]] {
        let absurd = spoilt("encoder.arch.norm0.weight", |tensor| tensor.shape.clone_from(&shape));
        let said = room.refuses(&room.put("absurd.pth", &absurd), "new", 1);
        assert!(said.contains("absurd.pth"), "{said}");
    }
}

#[test]
fn weights_that_are_not_numbers_or_give_no_colour_are_refused() {
    let room = Room::new();
    for (name, value) in [
        ("encoder.arch.stages.0.0.gamma", f32::NAN),
        ("decoder.color_decoder.query_feat.weight", f32::INFINITY),
        ("decoder.layers.0.conv.0.weight_orig", f32::NAN),
        ("decoder.layers.0.conv.0.weight_u", 0.0),
    ] {
        let said = room.refuses(&room.put("nan.pth", &spoilt(name, |tensor| filled(tensor, value))), "new", 1);
        assert!(said.contains("holds a value that is not finite"), "{name}: {said}");
    }
    // All tensors are sound, and the network is of no use.
    let blind = spoilt("refine_net.0.0.bias", |tensor| filled(tensor, 1e4));
    let said = room.refuses(&room.put("blind.pth", &blind), "new", 1);
    assert!(said.contains("failed its trial and was not kept") && said.contains("10000"), "{said}");
}

#[test]
fn an_id_in_use_and_a_file_in_the_way_stay_untouched() {
    let room = Room::new();
    let file = room.put("a.pth", &torch_file::file(Layout::Params, &tensors(&small())));
    let said = room.refuses(&file, "ddcolor-starter", 1);
    assert!(said.contains("has a model \"ddcolor-starter\" already"), "{said}");
    for id in ["", "../a", "a b", "ä", ".a", &"a".repeat(65)] {
        let said = room.refuses(&file, id, 2);
        assert!(said.contains("has an id that is not 1 to 64 of"), "{said}");
    }
    fs::write(room.models().join("a.safetensors"), b"mine").unwrap();
    let said = room.refuses(&file, "a", 1);
    assert!(said.contains("a.safetensors is in the way"), "{said}");
}

#[test]
fn a_models_directory_without_a_catalogue_is_a_matter_of_configuration() {
    let room = Room::new();
    let file = room.put("a.pth", &torch_file::file(Layout::Params, &tensors(&small())));
    fs::remove_file(room.models().join("models.toml")).unwrap();
    room.refuses(&file, "a", 78);
    let said = text(&room.import(&file, "a", &[]));
    assert!(said.contains("hint: copy the bundled models directory"), "{said}");
}

#[test]
fn a_checkpoint_damaged_anywhere_never_brings_the_program_down() {
    let room = Room::new();
    let whole = torch_file::file(Layout::Params, &tensors(&small()));
    for cut in [10, 100, 5_000, whole.len() / 2, whole.len() - 30, whole.len() - 1] {
        let said = room.refuses(&room.put("cut.pth", &whole[..cut]), "new", 1);
        assert!(said.contains("cut.pth is no sound checkpoint") || said.contains("is not a PyTorch"), "{cut} bytes: {said}");
    }
    // The pickle is at the beginning, the central directory at the end.
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..40 {
        let mut bytes = whole.clone();
        for _ in 0..1 + round % 3 {
            let at = random.usize(..60_000);
            let at = if random.bool() { at } else { bytes.len() - 1 - at };
            bytes[at] ^= 1 << random.u8(..8);
        }
        let before = room.contents();
        let output = room.import(&room.put("bits.pth", &bytes), &format!("bits-{round}"), &[]);
        match output.status.code() {
            // Padding, or a name that nothing looks at.
            Some(0) => {}
            Some(1) => assert_eq!(room.contents(), before, "{}", text(&output)),
            other => panic!("{other:?}: {}", text(&output)),
        }
    }
}
