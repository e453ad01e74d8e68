//! What a change needs of the system, before the first thing is changed: sockets, files, names.

mod lists;
mod needs;
mod own;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::access_log::AccessLog;
use crate::backends::{ServerPlan, StickyKey};
use crate::config::{
    AccessLists, AccessLogPlace, Address, Complaint, Desired, PoolSpec, ProcessSettings,
    SettingKey, Sticky, Subject, Target, Tokens, io_words,
};
use crate::guard::ranges::Ranges;
use crate::http::answer::content_type;
use crate::limits::PAGE_BYTES_MAX;
use crate::net::descriptors::Needs;
use crate::net::file::read_bytes;
use crate::net::tls::files::{self, Certificate, FileError};
use crate::net::tls::server::Loading;
use crate::net::{HandedSockets, SocketFile};
use crate::services::Page;

use super::admin::{self, PreparedAdmin, PreparedAdminListener};
use super::adopt::Adoption;
use super::diff::Diff;
use super::server_fates::ServerFates;
use super::server_plan;
use super::servers::{ServerList, ServerWanted, Servers};
use super::socket::{Socket, socket_file};
use super::tls::TlsStore;
use lists::ReadingLists;
use needs::needs;
pub use own::Own;

/// What runs now.
pub struct Ground<'a> {
    /// As it was wanted.
    pub servers: Servers<'a>,
    /// What TLS read for it.
    pub store: &'a TlsStore,
    /// The other files that were read for it.
    pub files: &'a ReadFiles,
    /// Where a listener really is, by its place in the list of those that were wanted.
    pub address: &'a dyn Fn(usize) -> Option<Address>,
    /// Whether a listener of ours that has not been closed yet has this port, for datagrams or not.
    pub holds: &'a dyn Fn(u16, bool) -> bool,
    /// Sockets that were handed over to this process.
    pub handed: &'a HandedSockets,
    /// The addresses of a host that runs already, by its name and port.
    pub known: &'a dyn Fn(&Target) -> Vec<Address>,
}

/// All that a change needs. To drop it undoes it: its sockets are closed, nothing has changed.
pub struct Prepared {
    /// What is wanted.
    pub desired: Desired,
    /// Which servers that are.
    pub server_list: ServerList,
    /// What is different.
    pub diff: Diff,
    /// Files, read anew.
    pub store: TlsStore,
    /// One for each listener that is wanted, in order.
    pub listeners: Vec<PreparedListener>,
    /// One for each server that is wanted, in order.
    pub servers: Vec<PreparedServer>,
    /// Keys of sticky cookies for pools that are new or want another, by the pool's name.
    pub sticky_keys: HashMap<String, Option<StickyKey>>,
    /// Files that are no certificates.
    pub files: ReadFiles,
    /// Another access log than before, or none; `None` if it stays as it is.
    pub access_log: Option<Option<AccessLog>>,
    /// Who will need descriptors.
    pub needs: Needs,
    /// The admin listeners.
    pub admin: PreparedAdmin,
    /// What is told, though it is no mistake.
    pub notes: Vec<String>,
    /// Who takes which of the sockets that were handed over.
    pub adoption: Adoption,
}

impl Prepared {
    /// The servers that are wanted.
    pub fn wanted(&self) -> Servers<'_> {
        Servers::new(&self.desired, &self.server_list)
    }
}

/// Files that were read, certificates apart.
#[derive(Debug, Default, Clone)]
pub struct ReadFiles {
    /// Bodies of answers of our own, by the names of their files.
    pub pages: HashMap<String, Arc<Page>>,
    /// Who may use the API, if there is a file of them.
    pub tokens: Option<Tokens>,
    /// Who may come in, by how it was asked for.
    pub access: HashMap<AccessLists, Arc<Ranges>>,
}

/// A listener that is wanted.
pub struct PreparedListener {
    /// Where it really is.
    pub address: Address,
    /// Its socket, if it is new.
    pub socket: Option<Socket>,
    /// How the file of its UNIX socket is to be, if it has one.
    pub file: Option<SocketFile>,
}

/// A server that is wanted; of one that runs as it is wanted nothing is needed.
pub struct PreparedServer {
    /// What is known of it, if it is new or changed.
    pub plan: Option<ServerPlan>,
    /// TLS is spoken with it in another way than before, or other roots are trusted.
    pub is_outdated: bool,
}

/// What leads from what runs to what is wanted, found piece by piece, none of which takes long. To
/// drop it undoes it.
pub struct Preparing {
    purpose: Purpose,
    /// Files that were read are not read again.
    keeps_files: bool,
    /// A certificate that is shown instead of what was read of its file.
    told: Option<Arc<Certificate>>,
    next: Step,
    now: SystemTime,
    errors: Vec<Complaint>,
    fates: ServerFates,
    /// Of the listener that is looked at.
    loading: Option<Loading>,
    lists: Option<ReadingLists>,
    own: Own,
    /// As far as it is there.
    found: Prepared,
}

/// What for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    ToRun,
    /// Nothing is bound or opened.
    ToCheck,
}

/// What is to be done next, of the listener, pool, service or server at this place.
#[derive(Debug, Clone, Copy)]
enum Step {
    ListServers,
    Compare,
    CompareServers,
    ListenerTls(usize),
    AdminTls,
    PoolTls(usize),
    CheckAccessLog,
    StickyKey(usize),
    Pages(usize),
    /// Of the listeners, then of the services.
    Access(usize),
    Bind(usize),
    BindAdmin,
    OwnListeners,
    Server(usize),
    OpenAccessLog,
    Over,
}

/// All of it at once. If anything cannot be had, all of that is told, and nothing has changed.
pub fn prepare(ground: &Ground<'_>, desired: Desired) -> Result<Prepared, Vec<Complaint>> {
    let mut preparing = Preparing::new(desired, Purpose::ToRun);
    while preparing.step(ground) {}
    preparing.finish()
}

/// What could not be had of this, without binding anything or opening the access log.
pub fn check(desired: &Desired, known: &dyn Fn(&Target) -> Vec<Address>) -> Vec<Complaint> {
    let mut preparing = Preparing::new(desired.clone(), Purpose::ToCheck);
    Ground::with_nothing(known, |ground| while preparing.step(ground) {});
    preparing.errors
}

impl Ground<'_> {
    /// Where nothing runs yet; `known` tells the addresses of names, as far as they are known.
    pub fn with_nothing<T>(
        known: &dyn Fn(&Target) -> Vec<Address>,
        then: impl FnOnce(&Ground<'_>) -> T,
    ) -> T {
        then(&Ground {
            servers: Servers::new(&Desired::nothing(), &ServerList::default()),
            store: &TlsStore::default(),
            files: &ReadFiles::default(),
            address: &|_| None,
            holds: &|_, _| false,
            handed: &HandedSockets::default(),
            known,
        })
    }
}

impl Preparing {
    /// To say what would be done.
    pub fn to_check(desired: Desired) -> Preparing {
        Preparing::new(desired, Purpose::ToCheck)
    }

    /// To run what is wanted.
    pub fn to_run(desired: Desired) -> Preparing {
        Preparing::new(desired, Purpose::ToRun)
    }

    fn new(desired: Desired, purpose: Purpose) -> Preparing {
        let found = Prepared {
            server_list: ServerList::default(),
            diff: Diff::default(),
            store: TlsStore::default(),
            listeners: Vec::new(),
            servers: Vec::new(),
            sticky_keys: HashMap::new(),
            files: ReadFiles::default(),
            access_log: None,
            needs: Needs::default(),
            admin: PreparedAdmin::default(),
            adoption: Adoption::default(),
            notes: Vec::new(),
            desired,
        };
        Preparing {
            purpose,
            keeps_files: false,
            told: None,
            next: Step::ListServers,
            now: SystemTime::now(),
            errors: Vec::new(),
            fates: ServerFates::default(),
            loading: None,
            lists: None,
            own: Own::default(),
            found,
        }
    }

    /// The next piece; the ground is the same each time. Says whether there is more to do.
    pub fn step(&mut self, ground: &Ground<'_>) -> bool {
        let listeners = self.found.desired.listeners.len();
        let services = self.found.desired.services.len();
        let pools = self.found.desired.pools.len();
        self.next = match self.next {
            Step::ListServers => self.list_servers(ground),
            Step::Compare => self.compare(ground),
            Step::CompareServers => self.compare_servers(ground),
            Step::ListenerTls(at) if at < listeners => self.renew_listener(ground, at),
            Step::ListenerTls(_) => Step::AdminTls,
            Step::AdminTls => self.renew_admin(ground),
            Step::PoolTls(at) if at < pools => self.renew_pool(ground, at),
            Step::PoolTls(_) => Step::CheckAccessLog,
            Step::CheckAccessLog => self.check_access_log(ground),
            Step::StickyKey(at) if at < pools => self.read_sticky_key(ground, at),
            Step::StickyKey(_) => Step::Pages(0),
            Step::Pages(at) if at < services => self.read_pages(at),
            Step::Pages(_) => Step::Access(0),
            Step::Access(at) if at < listeners + services => self.read_lists(at),
            Step::Access(_) => Step::Bind(0),
            Step::Bind(at) if at < listeners => self.bind(ground, at),
            Step::Bind(_) => Step::BindAdmin,
            Step::BindAdmin => self.bind_admin(ground),
            Step::OwnListeners => self.note_own_listeners(),
            Step::Server(at) if at < self.found.server_list.len() => {
                self.plan_server(ground, at)
            }
            Step::Server(_) => Step::OpenAccessLog,
            Step::OpenAccessLog => self.open_access_log(ground),
            Step::Over => Step::Over,
        };
        !matches!(self.next, Step::Over)
    }

    /// All that a change needs, or all that cannot be had.
    pub fn finish(self) -> Result<Prepared, Vec<Complaint>> {
        let found = Prepared { notes: self.own.notes(), ..self.found };
        if self.errors.is_empty() { Ok(found) } else { Err(self.errors) }
    }

    /// What was told alone is another: of files nothing is read that is known. A weight changes
    /// whatever became of them meanwhile.
    #[must_use]
    pub fn keeping_files(mut self) -> Preparing {
        self.keeps_files = true;
        self
    }

    /// Nothing is another but this certificate, which was told and is shown in the place of those
    /// of its file.
    #[must_use]
    pub fn showing(mut self, told: Arc<Certificate>) -> Preparing {
        self.told = Some(told);
        self.keeping_files()
    }

    fn list_servers(&mut self, ground: &Ground<'_>) -> Step {
        if self.keeps_files {
            self.found.store = ground.store.clone();
            self.found.files = ground.files.clone();
        }
        if let Some(told) = &self.told {
            self.found.store.show_to_backends(told);
        }
        self.found.server_list = ServerList::of(&self.found.desired);
        self.found.needs = needs(&self.found.desired, self.found.server_list.len());
        self.found.needs.handed = ground.handed.all().len();
        self.found.adoption = Adoption::of(ground.handed, &self.found.desired);
        self.errors.append(&mut self.found.adoption.complaints);
        Step::Compare
    }

    fn compare(&mut self, ground: &Ground<'_>) -> Step {
        self.found.diff = Diff::between(ground.servers.desired(), &self.found.desired);
        Step::CompareServers
    }

    fn compare_servers(&mut self, ground: &Ground<'_>) -> Step {
        if self.fates.step(ground.servers, self.found.wanted()) {
            return Step::CompareServers;
        }
        self.found.diff.servers = std::mem::take(&mut self.fates).finish();
        Step::ListenerTls(0)
    }

    /// The certificates of a listener, one after the other.
    fn renew_listener(&mut self, ground: &Ground<'_>, at: usize) -> Step {
        let listener = &self.found.desired.listeners[at];
        let store = &mut self.found.store;
        if self.loading.is_none() {
            self.loading = store.begin_listener(listener, ground.store, self.now);
        }
        if self.loading.as_mut().is_some_and(Loading::step) {
            return Step::ListenerTls(at);
        }
        if let Some(read) = self.loading.take() {
            store.add_listener(listener, read, &mut self.errors);
        }
        if let Some(told) = &self.told {
            store.show(&listener.settings.tls, told, &mut self.errors);
        }
        Step::ListenerTls(at + 1)
    }

    /// The certificate of the admin listeners.
    fn renew_admin(&mut self, ground: &Ground<'_>) -> Step {
        let wanted = &self.found.desired.process.admin;
        let Some(listener) = admin::as_listener(wanted) else {
            return Step::PoolTls(0);
        };
        let store = &mut self.found.store;
        if let Some(mut read) = store.begin_listener(&listener, ground.store, self.now) {
            while read.step() {}
            let mut errors = Vec::new();
            store.add_listener(&listener, read, &mut errors);
            self.errors.extend(errors.into_iter().map(admin::renamed));
        }
        if let Some(told) = &self.told {
            store.show(&listener.settings.tls, told, &mut self.errors);
        }
        Step::PoolTls(0)
    }

    /// The sockets of admin listeners that are new, and who may use them.
    fn bind_admin(&mut self, ground: &Ground<'_>) -> Step {
        let wanted = &self.found.desired.process.admin;
        let before = admin::places(&ground.servers.desired().process.admin);
        for it in admin::places(wanted) {
            let is_new = !before.contains(&it) && self.purpose == Purpose::ToRun;
            let (place, speaks, key) = it;
            let at = self.found.admin.listeners.len();
            let handed = self.found.adoption.admin.get(at).copied().flatten();
            let handed = handed.and_then(|at| ground.handed.all().get(at));
            let bound = is_new.then(|| admin::bind(&place, key, wanted.socket_mode, handed));
            let socket = bound.and_then(|bound| noted(bound, &mut self.errors));
            let tls =
                self.found.store.server(&wanted.tls).filter(|_| admin::is_tls(&place)).cloned();
            let listener = PreparedAdminListener { place, speaks, socket, tls };
            self.found.admin.listeners.push(listener);
        }
        self.found.admin.allowed_hosts.clone_from(&wanted.allowed_hosts);
        let before = ground.servers.desired().process.admin.register_udp;
        let binds = self.purpose == Purpose::ToRun;
        let handed = self.found.adoption.heartbeats.and_then(|at| ground.handed.all().get(at));
        let inlet = admin::inlet(wanted.register_udp, before, binds, handed);
        self.found.admin.heartbeats = noted(inlet, &mut self.errors).flatten();
        if !self.keeps_files {
            match admin::read_tokens(wanted) {
                Ok(tokens) => self.found.files.tokens = tokens,
                Err(wrong) => self.errors.extend(wrong),
            }
        }
        Step::OwnListeners
    }

    fn renew_pool(&mut self, ground: &Ground<'_>, at: usize) -> Step {
        let pool = &self.found.desired.pools[at];
        self.found.store.renew_pool(pool, ground.store, self.now, &mut self.errors);
        Step::PoolTls(at + 1)
    }

    /// A pool keeps a key that was drawn for as long as it asks for one; files are read anew.
    fn read_sticky_key(&mut self, ground: &Ground<'_>, at: usize) -> Step {
        let pool = &self.found.desired.pools[at];
        let is_drawn = |it: &Sticky| it.cookie.is_some() && it.key.is_none();
        let old = &ground.servers.desired().pools;
        let before = self.found.diff.pools.wanted[at].before();
        let before = before.map(|at| &old[at].settings.sticky);
        let is_drawn_already = before.is_some_and(is_drawn) && is_drawn(&pool.settings.sticky);
        let is_known = self.keeps_files && before == Some(&pool.settings.sticky);
        if !is_drawn_already && !is_known {
            let key = noted(sticky_key(pool), &mut self.errors).flatten();
            self.found.sticky_keys.insert(pool.name.clone(), key);
        }
        Step::StickyKey(at + 1)
    }

    /// The files of a service's rules and error pages, each once.
    fn read_pages(&mut self, at: usize) -> Step {
        let service = &self.found.desired.services[at];
        for file in service.files() {
            if self.found.files.pages.contains_key(file) {
                continue;
            }
            match read_bytes(file, PAGE_BYTES_MAX) {
                Ok(body) => {
                    let page = Page { content_type: content_type(file), body };
                    self.found.files.pages.insert(file.to_owned(), Arc::new(page));
                }
                Err(why) => {
                    let subject = Subject::Service(service.name.clone());
                    let complaint = Complaint::new(SettingKey::PAGE, format!("{file}: {why}"));
                    self.errors.push(complaint.about(subject).in_file(file));
                }
            }
        }
        Step::Pages(at + 1)
    }

    /// A socket for a listener that is new, and where it really is; of one that cannot be had as it
    /// was asked for.
    fn bind(&mut self, ground: &Ground<'_>, at: usize) -> Step {
        let all = &self.found.desired.listeners;
        let wanted = &all[at];
        let about = |it: Complaint| it.about(Subject::Listener(wanted.name.clone()));
        let file = match wanted.listen.address {
            Address::Unix(_) => {
                noted(socket_file(&wanted.settings).map_err(about), &mut self.errors)
            }
            Address::Ip(_) | Address::Link(_) => None,
        };
        let before = self.found.diff.listeners.wanted[at].before();
        let before = before.and_then(|at| (ground.address)(at));
        let socket = match before {
            None if self.purpose == Purpose::ToRun => {
                let handed = self.found.adoption.listeners.get(at).copied().flatten();
                let bound = match handed.and_then(|at| ground.handed.all().get(at)) {
                    Some(handed) => Socket::adopt(wanted, handed, file.as_ref(), ground.holds),
                    None => Socket::bind(wanted, file.as_ref(), all, ground.holds),
                };
                noted(bound.map_err(about), &mut self.errors)
            }
            _ => None,
        };
        let bound = socket.as_ref().map(Socket::address);
        let address = before.or(bound).unwrap_or_else(|| wanted.listen.address.clone());
        self.found.listeners.push(PreparedListener { address, socket, file });
        Step::Bind(at + 1)
    }

    fn note_own_listeners(&mut self) -> Step {
        let addresses = self.found.listeners.iter().map(|it| it.address.clone());
        self.own = Own::new(&self.found.desired, &addresses.collect::<Vec<_>>());
        Step::Server(0)
    }

    /// What is needed of a server. Names that run already are not looked up again.
    fn plan_server(&mut self, ground: &Ground<'_>, at: usize) -> Step {
        let wanted = self.found.wanted().at(at);
        let before = self.found.diff.servers.wanted[at].before();
        let before = before.map(|at| ground.servers.at(at));
        let is_outdated = before.is_some_and(|it| self.is_outdated(ground, &it, &wanted));
        let is_same =
            |it: ServerWanted<'_>| it.facts == wanted.facts && it.key() == wanted.key();
        let addresses = self.own.usable(ground, &wanted);
        let addresses = noted(addresses, &mut self.errors).unwrap_or_default();
        let plan = if before.is_some_and(is_same) && !is_outdated {
            None
        } else {
            let plan = server_plan::plan(&wanted, addresses, &self.found.store);
            noted(plan.map_err(|it| it.about(subject(&wanted))), &mut self.errors)
        };
        self.found.servers.push(PreparedServer { plan, is_outdated });
        Step::Server(at + 1)
    }

    /// Whether what was agreed with a server under its old terms does not hold any more.
    fn is_outdated(
        &self,
        ground: &Ground<'_>,
        before: &ServerWanted<'_>,
        wanted: &ServerWanted<'_>,
    ) -> bool {
        let old = ground.store.roots(before.facts.dial);
        let new = self.found.store.roots(wanted.facts.dial);
        let trusts_others = old.zip(new).is_some_and(|(old, new)| !old.is_like(new));
        trusts_others || !before.speaks_as(wanted)
    }

    /// What can be seen without making its file is told with the other files.
    fn check_access_log(&mut self, ground: &Ground<'_>) -> Step {
        let place = self.found.desired.process.access_log.as_ref();
        if let Some(place) = place.filter(|_| self.logs_anew(ground)) {
            let checked = AccessLog::check(place).map_err(|error| cannot_log(place, &error));
            noted(checked, &mut self.errors);
        }
        Step::StickyKey(0)
    }

    /// Last, for it makes its file: what is refused leaves nothing behind.
    fn open_access_log(&mut self, ground: &Ground<'_>) -> Step {
        let is_good = self.errors.is_empty() && self.purpose == Purpose::ToRun;
        if is_good && self.logs_anew(ground) {
            let opened = access_log(&self.found.desired.process);
            self.found.access_log = noted(opened, &mut self.errors);
        }
        Step::Over
    }

    /// Another one is opened where its file or its format is another.
    fn logs_anew(&self, ground: &Ground<'_>) -> bool {
        let asked =
            |it: &ProcessSettings| (it.access_log.clone(), it.access_log_format.clone());
        asked(&ground.servers.desired().process) != asked(&self.found.desired.process)
    }
}

fn access_log(process: &ProcessSettings) -> Result<Option<AccessLog>, Complaint> {
    let Some(place) = &process.access_log else { return Ok(None) };
    let opened = AccessLog::open(place, process.access_log_format.clone(), Instant::now());
    opened.map(Some).map_err(|error| cannot_log(place, &error))
}

fn cannot_log(place: &AccessLogPlace, error: &io::Error) -> Complaint {
    let why = io_words(error);
    Complaint::of(SettingKey::ACCESS_LOG, place.to_string(), why).about(Subject::Process)
}

/// Go on without it, to find what else is wrong.
fn noted<T>(result: Result<T, Complaint>, errors: &mut Vec<Complaint>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

/// What the sticky cookie is made with, if there is one.
fn sticky_key(pool: &PoolSpec) -> Result<Option<StickyKey>, Complaint> {
    let sticky = &pool.settings.sticky;
    let about = |complaint: Complaint| complaint.about(Subject::Pool(pool.name.clone()));
    match (&sticky.cookie, &sticky.key) {
        (None, _) => Ok(None),
        (Some(_), None) => {
            let key = StickyKey::random().map(Some);
            key.map_err(|why| about(Complaint::new(SettingKey::STICKY_COOKIE, why)))
        }
        (Some(_), Some(file)) => {
            let setting = SettingKey::STICKY_KEY;
            let read = files::read(setting, file);
            let text = read.map_err(|error| about(Complaint::from(&error)))?;
            let key = StickyKey::from_text(&text);
            key.map(Some).map_err(|why| about((&FileError::new(setting, file, &why)).into()))
        }
    }
}

fn subject(wanted: &ServerWanted<'_>) -> Subject {
    let pool = wanted.pools().next().unwrap_or_default().to_owned();
    Subject::Backend { pool, name: wanted.spec.name.clone() }
}
