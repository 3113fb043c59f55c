//! The simulated hosts, the tenants behind them and their demo users.

/// Host of the v3 API, which every tenant's `apiV3url` names.
pub(crate) const API_HOST: &str = "apiv3.intelligencebank.com";

/// Host of the REI CCA API.
pub(crate) const REI_CCA_HOST: &str = "remax-cca.com";

const COMPANY_HOST: &str = "company.intelligencebank.com";
const OTHER_HOST: &str = "other.intelligencebank.com";

/// Every host that the simulator's certificate names.
pub(crate) const HOSTS: [&str; 4] = [COMPANY_HOST, API_HOST, OTHER_HOST, REI_CCA_HOST];

/// A person who can log in.
pub(crate) struct User {
    /// The name on the login form.
    pub(crate) name: &'static str,
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    pub(crate) uuid: &'static str,
}

/// A customer of IntelligenceBank, with a platform of its own.
pub(crate) struct Tenant {
    pub(crate) host: &'static str,
    pub(crate) client_id: &'static str,
    pub(crate) client_name: &'static str,
    /// The address of the platform's administrator, not of the user who logs in.
    pub(crate) administrator_email: &'static str,
    pub(crate) users: [User; 2],
}

impl Tenant {
    /// The demo user called `name`.
    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The value of `apiV3url`: a host of its own and no path.
    pub(crate) fn api_url(&self) -> String {
        format!("https://{API_HOST}")
    }
}

/// The tenant that demonstrations log in to.
pub(crate) static COMPANY: Tenant = Tenant {
    host: COMPANY_HOST,
    client_id: "DemoCo1",
    client_name: "Company (simulated)",
    administrator_email: "administrator@company.example",
    users: [
        User {
            name: "ada",
            first_name: "Ada",
            last_name: "Lovelace",
            uuid: "3f0a9b52c64d4f1e8a7d18151210ada1",
        },
        User {
            name: "grace",
            first_name: "Grace",
            last_name: "Hopper",
            uuid: "7c21d8e40b9a4c35b6f019061209acee",
        },
    ],
};

/// A second tenant: its sessions are worth nothing at the first, and the other way round.
pub(crate) static OTHER: Tenant = Tenant {
    host: OTHER_HOST,
    client_id: "OtherCo2",
    client_name: "Other (simulated)",
    administrator_email: "administrator@other.example",
    users: [
        User {
            name: "ada",
            first_name: "Ada",
            last_name: "Lovelace",
            uuid: "91e6c0d7f2384b06a5d418151210ada2",
        },
        User {
            name: "grace",
            first_name: "Grace",
            last_name: "Hopper",
            uuid: "b84f7a130e5d42c9972819061209acef",
        },
    ],
};

/// What a simulated host is.
#[derive(Clone, Copy)]
pub(crate) enum Site {
    /// A tenant's platform: the login, and the v3 API for that tenant's sessions.
    Platform(&'static Tenant),
    /// The v3 API, for the sessions of every tenant.
    Api,
    /// The REI CCA API, for the tokens of its brands.
    ReiCca,
}

impl Site {
    /// The site that `host` names, in any case, with or without a port.
    pub(crate) fn of_host(host: &str) -> Option<Self> {
        match host_name(host).as_str() {
            COMPANY_HOST => Some(Self::Platform(&COMPANY)),
            OTHER_HOST => Some(Self::Platform(&OTHER)),
            API_HOST => Some(Self::Api),
            REI_CCA_HOST => Some(Self::ReiCca),
            _ => None,
        }
    }
}

/// `host` in lower case and without its port.
pub(crate) fn host_name(host: &str) -> String {
    let name = host.split_once(':').map_or(host, |(name, _port)| name);
    name.to_ascii_lowercase()
}
