//! The tables: separate key spaces.

/// Makes the enumeration, so that no table can be without a name or be left out of a backup.
macro_rules! tables {
    ($($(#[$documentation:meta])* $table:ident = $name:literal,)*) => {
        /// What a record is about. Tables are separate key spaces.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Table {
            $($(#[$documentation])* $table,)*
        }

        impl Table {
            /// The table's name inside every engine. It must never change.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$table => $name,)*
                }
            }

            /// The table of this name.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$table),)*
                    _ => None,
                }
            }
        }
    };
}

tables! {
    Login = "login",
    Code = "code",
    AccessToken = "access_token",
    RefreshToken = "refresh_token",
    Grant = "grant",
    Session = "session",
    /// By whom and what a grant is for, to find it by.
    GrantIndex = "grant_index",
    /// Clients that registered themselves.
    Client = "client",
    /// How many clients have registered on a day.
    RegistrationCount = "registration_count",
    /// Assertions of clients that have been used.
    ClientAssertion = "client_assertion",
    /// One record, which proves the sealing keys.
    Canary = "canary",
    /// Events of the revocation feed, by their numbers.
    Revocation = "revocation",
    /// One record: the number of the last event.
    RevocationHead = "revocation_head",
    /// One record for each kind of key that the service makes itself.
    Key = "key",
    /// Tokens that upstreams gave for the machine credentials of the settings.
    MachineCredential = "machine_credential",
}
