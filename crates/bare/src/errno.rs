use core::fmt;
use linux_raw_sys::errno;

/// An error number of the kernel (errno(3)).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub(crate) u32);

/// The numbers that have a name here, and the words for those that a start can end with.
macro_rules! named {
    ($($name:ident = $number:ident $words:literal),* $(,)?) => {
        #[allow(missing_docs)]
        impl Errno {
            $(pub const $name: Self = Self(errno::$number);)*

            fn described(self) -> Option<(&'static str, &'static str)> {
                match self {
                    $(Self::$name => Some((stringify!($number), $words)),)*
                    _ => None,
                }
            }
        }
    };
}

named![
    ACCES = EACCES "Permission denied",
    AGAIN = EAGAIN "Resource temporarily unavailable",
    BADF = EBADF "Bad file descriptor",
    CONNABORTED = ECONNABORTED "Software caused connection abort",
    CONNRESET = ECONNRESET "Connection reset by peer",
    FAULT = EFAULT "Bad address",
    INTR = EINTR "Interrupted system call",
    INVAL = EINVAL "Invalid argument",
    MFILE = EMFILE "Too many open files",
    MSGSIZE = EMSGSIZE "Message too long",
    NFILE = ENFILE "Too many open files in system",
    NOBUFS = ENOBUFS "No buffer space available",
    NOMEM = ENOMEM "Cannot allocate memory",
    NOSYS = ENOSYS "Function not implemented",
    NOTSOCK = ENOTSOCK "Socket operation on non-socket",
    OPNOTSUPP = EOPNOTSUPP "Operation not supported",
    PERM = EPERM "Operation not permitted",
];

impl fmt::Display for Errno {
    /// As std says it, which is as strerror(3) does: `Operation not permitted (os error 1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((_, words)) = self.described() {
            write!(f, "{words} (os error {})", self.0)
        } else {
            write!(f, "os error {}", self.0)
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.described() {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl core::error::Error for Errno {}
