//! The few C functions nobody wraps: the versions that ONNX Runtime, CUDA and cuDNN say of themselves, which records need, and
//! copies between the card and this machine, which `ort` makes through sessions of their own.

#![expect(unsafe_code, reason = "calling a C function through the loader cannot be checked by the compiler")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;

use libloading::Library;
use ort::value::DynTensor;

/// Version of the ONNX Runtime in this library, which this process has already loaded.
pub(super) fn runtime_version(library: &Path) -> Option<String> {
    // SAFETY: `OrtGetApiBase` and `GetVersionString` are ONNX Runtime's own entry points, with the signatures of its C
    // header as `ort` declares them; the string is static. Loading runs no new code: the library is in use already.
    unsafe {
        let library = Library::new(library).ok()?;
        let get = library.get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase\0").ok()?;
        let base = get().as_ref()?;
        let text = (base.GetVersionString)();
        if text.is_null() {
            return None;
        }
        Some(CStr::from_ptr(text).to_str().ok()?.to_owned())
    }
}

/// Version of the CUDA runtime library, as 1000 × major + 10 × minor.
pub(super) fn cuda_version() -> Option<u32> {
    // SAFETY: `cudaError_t cudaRuntimeGetVersion(int *)` (CUDA Runtime API) writes one int and keeps no pointer.
    unsafe {
        let library = Library::new("libcudart.so.13").ok()?;
        let get = library.get::<unsafe extern "C" fn(*mut c_int) -> c_int>(b"cudaRuntimeGetVersion\0").ok()?;
        let mut version = 0;
        (get(&raw mut version) == 0).then_some(())?;
        u32::try_from(version).ok()
    }
}

/// PCI address of CUDA's first device: CUDA and the driver's management library count cards in different orders.
pub(super) fn cuda_bus_id() -> Option<String> {
    // "domain:bus:device.function" and a terminating zero: 13 bytes at least (CUDA Runtime API).
    let mut text = [0_u8; 64];
    // SAFETY: `cudaError_t cudaDeviceGetPCIBusId(char *, int, int)` writes at most the given length and keeps no pointer.
    let status = unsafe {
        let library = Library::new("libcudart.so.13").ok()?;
        let get = library.get::<unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int>(b"cudaDeviceGetPCIBusId\0").ok()?;
        get(text.as_mut_ptr().cast(), 64, 0)
    };
    (status == 0).then_some(())?;
    Some(CStr::from_bytes_until_nul(&text).ok()?.to_str().ok()?.to_owned())
}

/// Version of cuDNN 9, as 10000 × major + 100 × minor + patch.
pub(super) fn cudnn_version() -> Option<usize> {
    // SAFETY: `size_t cudnnGetVersion(void)` (cuDNN API) takes and keeps nothing.
    unsafe {
        let library = Library::new("libcudnn.so.9").ok()?;
        let get = library.get::<unsafe extern "C" fn() -> usize>(b"cudnnGetVersion\0").ok()?;
        Some(get())
    }
}

/// `cudaMemcpy(destination, source, bytes, kind)`, which returns when the bytes have arrived.
type Memcpy = unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int;

/// Copies between tensors on the card and tensors in memory of this machine.
#[derive(Debug)]
pub(super) struct CardCopies {
    memcpy: Memcpy,
    /// Holds the function.
    _library: Library,
}

/// Why bytes did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    /// There is no CUDA runtime, or it lacks the function.
    #[error("libcudart.so.13 cannot be used: {0}")]
    Library(#[from] libloading::Error),
    /// The card or the driver failed; the number is a `cudaError_t`.
    #[error("cudaMemcpy failed with error {0}")]
    Copy(c_int),
}

impl CardCopies {
    /// Finds the function in the library that the networks use.
    pub(super) fn open() -> Result<Self, CopyError> {
        // SAFETY: the CUDA runtime is in use by ONNX Runtime already, so loading it runs no new code; `cudaMemcpy` has this
        // signature (CUDA Runtime API), and the library is kept as long as the function.
        unsafe {
            let library = Library::new("libcudart.so.13")?;
            let memcpy = *library.get::<Memcpy>(b"cudaMemcpy\0")?;
            Ok(Self { memcpy, _library: library })
        }
    }

    /// To the card.
    pub(super) fn up(&self, host: &DynTensor, card: &mut DynTensor) -> Result<(), CopyError> {
        // `cudaMemcpyHostToDevice`.
        self.copy(host, card, 1)
    }

    /// From the card.
    pub(super) fn down(&self, card: &DynTensor, host: &mut DynTensor) -> Result<(), CopyError> {
        // `cudaMemcpyDeviceToHost`.
        self.copy(card, host, 2)
    }

    fn copy(&self, from: &DynTensor, to: &mut DynTensor, kind: c_int) -> Result<(), CopyError> {
        assert_eq!(from.size(), to.size(), "tensors of one shape and number format are copied");
        let bytes = from.size().unwrap_or(0);
        // SAFETY: both pointers are those of live tensors of `bytes` bytes each, on the sides that `kind` says; the target is
        // borrowed alone. No run of the session is under way: runs return when the card is done.
        let status = unsafe { (self.memcpy)(to.data_ptr_mut(), from.data_ptr(), bytes, kind) };
        if status == 0 { Ok(()) } else { Err(CopyError::Copy(status)) }
    }
}

/// Tells cuBLAS to make do with two workspaces of 4 MiB for every session instead of the hundred MiB that it takes by itself on the
/// cards that were measured: it computes no slower. What the environment says already stays.
///
/// Does nothing once the process has a second thread: the environment is not thread-safe.
pub fn choose_cublas_workspaces() {
    const NAME: &str = "CUBLAS_WORKSPACE_CONFIG";
    let is_alone = std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if is_alone && std::env::var_os(NAME).is_none() {
        // SAFETY: the caller is the process's only thread, as was just counted.
        unsafe { std::env::set_var(NAME, ":4096:2") };
    }
}
