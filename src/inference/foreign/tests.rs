//! Files as others might save them, small, whole and spoilt; and one that our own graph code writes.

use super::*;
use crate::inference::ddcolor::Weights;
use crate::inference::{Provider, ProviderChoice, runtime};

/// Small ONNX files.
#[path = "../../../tests/integration/onnx.rs"]
pub(in crate::inference) mod onnx;

use onnx::{FLOAT, FLOAT16, Small, external, message, number, text};

fn shape_error(small: &Small) -> String {
    match examine(&small.encode()) {
        Err(ForeignError::Shape { what }) => what,
        other => panic!("not a wrong shape: {other:?}"),
    }
}

/// Needs an ONNX Runtime, as every test of the whole line does: `autochrome setup` fetches it.
pub(in crate::inference) fn processor() -> Place {
    let library = runtime::locate_for(ProviderChoice::Cpu).expect("run `autochrome setup` before the tests");
    let environment = runtime::load(&library).expect("the installed runtime loads").environment;
    Place { environment, provider: Provider::Cpu, threads: 1, limit: None, memory: crate::inference::MemoryUse::Fast, tf32: true }
}

#[test]
fn a_file_says_what_it_is() {
    let free = examine(&Small::new().encode()).unwrap();
    assert_eq!((free.parameters(), free.size(), free.precision()), (8, None, Precision::Fp32));
    assert_eq!(free.architecture(), "ddcolor (onnx, fp32 inside, any size)");
    let fixed = examine(&Small { inside: FLOAT16, ..Small::fixed(64, 96) }.encode()).unwrap();
    assert_eq!(fixed.size(), Some(FixedSize { width: 64, height: 96 }));
    assert_eq!(fixed.architecture(), "ddcolor (onnx, fp16 inside, fixed 64×96)");
}

#[test]
fn what_our_own_graph_code_writes_is_such_a_file() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ddcolor-starter.safetensors");
    let weights = Weights::read(&std::fs::read(file).unwrap()).unwrap();
    for precision in [Precision::Fp32, Precision::Fp16] {
        let graph = weights.graph(Size::new(64, 32), precision, Provider::Cpu);
        let found = examine(&graph).unwrap();
        assert_eq!((found.size(), found.precision()), (Some(FixedSize { width: 64, height: 32 }), precision));
        // Position codes and products of two layers count here, and BatchNorms are folded away.
        assert!(found.parameters().abs_diff(weights.parameters()) * 20 < weights.parameters(), "{found:?}");
        self_check(&processor(), "ours", &graph, &found).unwrap();
    }
}

#[test]
fn files_of_either_type_and_size_pass_their_self_check() {
    let fixed = Small::fixed(64, 96);
    for small in
        [Small::new(), fixed.clone(), Small { inside: FLOAT16, ..fixed.clone() }, Small { inside: FLOAT16, io: FLOAT16, ..fixed }]
    {
        let file = small.encode();
        self_check(&processor(), "small", &file, &examine(&file).unwrap()).unwrap();
    }
}

#[test]
fn a_self_check_tells_numbers_that_are_none() {
    let file = Small { inside: FLOAT16, io: FLOAT16, gain: 1e4, ..Small::new() }.encode();
    let error = self_check(&processor(), "hot", &file, &examine(&file).unwrap()).unwrap_err();
    assert!(matches!(&error, InferenceError::NonFinite { .. }), "{error}");
    assert!(error.to_string().contains("8192 values"), "{error}");
}

#[test]
fn a_self_check_tells_colours_that_are_none() {
    let file = Small { gain: 1e3, ..Small::new() }.encode();
    let error = self_check(&processor(), "wrong", &file, &examine(&file).unwrap()).unwrap_err();
    assert!(error.to_string().contains("impossible colours in fp32: a*, b* from -29536 to 39380"), "{error}");
}

#[test]
fn an_operator_nobody_knows_is_the_runtime_s_to_refuse() {
    let domain = text(7, "somebody.else");
    let file = Small { in_node: domain, ..Small::new() }.encode();
    let examined = examine(&file).unwrap();
    let error = self_check(&processor(), "custom", &file, &examined).unwrap_err();
    assert!(matches!(error, InferenceError::Load { .. }), "{error}");
}

#[test]
fn another_shape_is_refused_with_what_differs() {
    let grey = shape_error(&Small { channels: 1, ..Small::fixed(64, 96) });
    assert_eq!(grey, "input picture is [batch, 1, 96, 64] instead of [1, 3, height, width]");
    let odd = shape_error(&Small::fixed(250, 256));
    assert_eq!(odd, "input picture fixes a side of 250, no multiple of 32 up to 4096");
    let huge = shape_error(&Small::fixed(1 << 40, 256));
    assert!(huge.contains("1099511627776"), "{huge}");
    let two = shape_error(&Small { second: Some(FLOAT), ..Small::new() });
    assert_eq!(two, "it has 2 inputs instead of one: picture, second");
    let bytes = shape_error(&Small { io: 2, ..Small::new() });
    assert_eq!(bytes, "input picture has elements of ONNX type 2, neither float nor float16");
}

#[test]
fn numbers_outside_the_file_are_found_wherever_they_are_mentioned() {
    let outside = |small: &Small| match examine(&small.encode()) {
        Err(error @ ForeignError::External { .. }) => error.to_string(),
        other => panic!("not noticed: {other:?}"),
    };
    let plain = outside(&Small { external: Some("weights.bin"), ..Small::new() });
    assert_eq!(plain, "tensor weight refers to file weights.bin outside itself");
    let tensor = [text(8, "hidden"), external("../../etc/passwd")].concat();
    let graph = message(5, &tensor);
    let sparse = message(1, &tensor);
    for (place, attribute) in [
        ("tensor", message(5, &tensor)),
        ("tensors", message(10, &tensor)),
        ("graph", message(6, &graph)),
        ("graphs", message(11, &graph)),
        ("sparse tensor", message(22, &sparse)),
        ("sparse tensors", message(23, &sparse)),
        ("sparse initializer of a graph in a graph", message(6, &message(1, &message(5, &message(6, &message(15, &sparse)))))),
    ] {
        let attribute = message(5, &[text(1, "a"), attribute].concat());
        let found = outside(&Small { in_node: attribute.clone(), ..Small::new() });
        assert!(found.contains("hidden refers to file ../../etc/passwd"), "{place}: {found}");
        let function = message(25, &message(7, &attribute));
        outside(&Small { in_model: function, ..Small::new() });
    }
    // A graph that comes twice is one graph to protobuf; training is a graph, too; a place without a file is elsewhere as well.
    outside(&Small { in_model: message(7, &graph), ..Small::new() });
    outside(&Small { in_model: message(20, &message(1, &graph)), ..Small::new() });
    outside(&Small { in_model: message(7, &message(5, &number(14, 1))), ..Small::new() });
    let address = Small { external: Some("*/_ORT_MEM_ADDR_/*\n"), ..Small::new() };
    assert!(!outside(&address).contains('\n'));
}

#[test]
fn damaged_files_are_refused_and_never_believed() {
    let whole = Small { inside: FLOAT16, ..Small::fixed(64, 96) }.encode();
    // Cut behind the graph, only the version of the operators is lost: the runtime misses that.
    let cut = (0..whole.len()).filter(|&end| examine(&whole[..end]).is_ok()).count();
    assert_eq!(cut, 1, "cut anywhere else the file is refused");
    let mut random = fastrand::Rng::with_seed(9);
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        let spoilt = examine(&bytes);
        assert!(spoilt.as_ref().err().is_none_or(|error| !error.to_string().contains('\n')), "{spoilt:?}");
        let noise: Vec<u8> = (0..random.usize(..64)).map(|_| random.u8(..)).collect();
        assert!(examine(&noise).is_err(), "{noise:?}");
    }
    for (what, file) in [("nothing", &b""[..]), ("a picture", b"\x89PNG\r\n\x1a\n"), ("weights", b"\x08\0\0\0\0\0\0\0{}      ")] {
        assert!(matches!(examine(file), Err(ForeignError::Format { .. })), "{what}");
    }
}

#[test]
fn absurd_claims_are_refused() {
    let claims = |dims: Vec<u8>| {
        let tensor = [dims, number(2, FLOAT), text(8, "w")].concat();
        examine(&Small { in_model: message(7, &message(5, &tensor)), ..Small::new() }.encode()).unwrap_err().to_string()
    };
    assert!(claims(number(1, u64::MAX)).contains("tensor w claims more numbers"), "a negative side");
    assert!(claims([number(1, 1 << 40), number(1, 1 << 40)].concat()).contains("tensor w claims more numbers"));
    let deep = (0..1000).fold(Vec::new(), |inner: Vec<u8>, _| message(1, &message(5, &message(6, &inner))));
    let error = examine(&Small { in_model: message(7, &deep), ..Small::new() }.encode()).unwrap_err();
    assert!(error.to_string().contains("deep inside each other"), "{error}");
}
