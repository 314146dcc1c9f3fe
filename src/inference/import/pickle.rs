//! Walks over a pickle and makes sure that it names nothing but what PyTorch puts tensors together with.
//!
//! A pickle is a program; what it may call, it names first. Nothing is executed here nor by the reader that follows, so a
//! hostile file could do no harm: it is refused because somebody should know of it. Opcodes are those of CPython's
//! `pickletools`.

/// What a state dict names: `torch.save` writes nothing else for tensors in dictionaries.
const KNOWN: &[(&str, &[&str])] = &[
    ("collections", &["OrderedDict"]),
    ("torch._utils", &["_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"]),
    (
        "torch",
        &[
            "FloatStorage",
            "HalfStorage",
            "BFloat16Storage",
            "DoubleStorage",
            "LongStorage",
            "IntStorage",
            "ShortStorage",
            "CharStorage",
            "ByteStorage",
            "BoolStorage",
        ],
    ),
];
/// Characters of a name in a message.
const NAME_CHARACTERS: usize = 80;

/// What is wrong with a pickle.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Objection {
    /// It names this, which is not a matter of tensors.
    Callee(String),
    /// It is no pickle, or of another kind than `torch.save` writes.
    Form(String),
}

/// Walks from the first opcode to the last.
pub(super) fn walk(pickle: &[u8]) -> Result<(), Objection> {
    let mut rest = pickle;
    loop {
        let [opcode] = take(&mut rest)?;
        match opcode {
            b'.' => return Ok(()),
            // Marks, containers, constants, the stack, the memo, calls of what was named before.
            b'('
            | b')'
            | b'0'..=b'2'
            | b'N'
            | b'R'
            | b'Q'
            | b'a'
            | b'b'
            | b'd'
            | b'e'
            | b'l'
            | b's'
            | b't'
            | b'u'
            | b']'
            | b'}' => {}
            0x85..=0x89 => {}
            b'K' | b'h' | b'q' => skip(&mut rest, 1)?,
            0x80 => match take(&mut rest)? {
                [0..=3] => {}
                // From protocol 4 on names are put together on the stack.
                [protocol] => return Err(Objection::Form(format!("pickle protocol {protocol}, where torch.save writes 2"))),
            },
            b'M' => skip(&mut rest, 2)?,
            b'J' | b'j' | b'r' => skip(&mut rest, 4)?,
            b'G' => skip(&mut rest, 8)?,
            b'I' | b'L' | b'F' | b'V' | b'S' | b'g' | b'p' | b'P' => drop(line(&mut rest)?),
            b'U' | b'C' | 0x8a => {
                let [length] = take(&mut rest)?;
                skip(&mut rest, length.into())?;
            }
            b'X' | b'T' | b'B' | 0x8b => {
                let length = u32::from_le_bytes(take(&mut rest)?);
                skip(&mut rest, length.try_into().unwrap_or(usize::MAX))?;
            }
            b'c' => {
                let (module, name) = (line(&mut rest)?, line(&mut rest)?);
                let known =
                    KNOWN.iter().any(|(known, names)| module == known.as_bytes() && names.iter().any(|n| name == n.as_bytes()));
                if !known {
                    return Err(Objection::Callee(readable(&[module, b".", name].concat())));
                }
            }
            // The other ways to name or make something: instances, extensions, names from the stack.
            b'i' | b'o' | 0x81..=0x84 | 0x8c..=0x98 => {
                return Err(Objection::Form(format!("pickle opcode 0x{opcode:02x}, which torch.save does not use")));
            }
            _ => return Err(Objection::Form(format!("a pickle opcode 0x{opcode:02x}, which does not exist"))),
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Objection> {
    let (first, others) = rest.split_first_chunk().ok_or_else(cut)?;
    *rest = others;
    Ok(*first)
}

fn skip(rest: &mut &[u8], count: usize) -> Result<(), Objection> {
    *rest = rest.get(count..).ok_or_else(cut)?;
    Ok(())
}

fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Objection> {
    let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(cut)?;
    let (line, others) = rest.split_at(end);
    *rest = &others[1..];
    Ok(line)
}

fn cut() -> Objection {
    Objection::Form("a pickle that ends too early".to_owned())
}

fn readable(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(NAME_CHARACTERS).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_anything_but_tensors_is_named() {
        let system = b"\x80\x02cposix\nsystem\nX\x02\0\0\0lsq\0\x85R0}.";
        assert_eq!(walk(system), Err(Objection::Callee("posix.system".to_owned())));
        let eval = b"\x80\x02c__builtin__\neval\n.";
        assert_eq!(walk(eval), Err(Objection::Callee("__builtin__.eval".to_owned())));
        let tensors = b"\x80\x02}q\0(X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\nq\x01ccollections\nOrderedDict\n)Ru.";
        assert_eq!(walk(tensors), Ok(()));
    }

    #[test]
    fn names_from_the_stack_and_other_back_doors_are_refused() {
        for back_door in [
            b"\x80\x04\x8c\x05posix\x8c\x06system\x93.".as_slice(),
            b"\x80\x02\x8c\x05posix\x8c\x06system\x93.",
            b"\x80\x02(iposix\nsystem\n.",
            b"\x80\x02\x82\x01.",
        ] {
            assert!(matches!(walk(back_door), Err(Objection::Form(_))), "{back_door:?}");
        }
    }

    #[test]
    fn a_pickle_cut_anywhere_is_refused() {
        let whole = b"\x80\x02}q\0(X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\nq\x01J\x01\0\0\0u.";
        assert_eq!(walk(whole), Ok(()));
        for end in 0..whole.len() {
            assert!(walk(&whole[..end]).is_err(), "{end} bytes");
        }
    }
}
