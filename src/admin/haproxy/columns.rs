//! The columns of the statistics: HAProxy 2.6's own in their places, then ours.

/// A column.
#[derive(Debug)]
pub struct Column {
    /// As the header has it.
    pub name: &'static str,
    /// Its origin, nature, scope and type, in the typed form.
    pub tags: &'static str,
}

const fn column(name: &'static str, tags: &'static str) -> Column {
    Column { name, tags }
}

/// All of them. Tools count on the places of those before `-`.
pub const COLUMNS: &[Column] = &[
    column("pxname", "KNS:str"),
    column("svname", "KNS:str"),
    column("qcur", "MGP:u32"),
    column("qmax", "MMP:u32"),
    column("scur", "MGP:u32"),
    column("smax", "MMP:u32"),
    column("slim", "CLP:u32"),
    column("stot", "MCP:u64"),
    column("bin", "MCP:u64"),
    column("bout", "MCP:u64"),
    column("dreq", "MCP:u64"),
    column("dresp", "MCP:u64"),
    column("ereq", "MCP:u64"),
    column("econ", "MCP:u64"),
    column("eresp", "MCP:u64"),
    column("wretr", "MCP:u64"),
    column("wredis", "MCP:u64"),
    column("status", "SGP:str"),
    column("weight", "MaP:u32"),
    column("act", "MGP:u32"),
    column("bck", "MGP:u32"),
    column("chkfail", "MCP:u64"),
    column("chkdown", "MCP:u64"),
    column("lastchg", "MAP:u32"),
    column("downtime", "MCP:u32"),
    column("qlimit", "CLS:u32"),
    column("pid", "KGP:u32"),
    column("iid", "KGS:u32"),
    column("sid", "KGS:u32"),
    column("throttle", "MGP:u32"),
    column("lbtot", "MCP:u64"),
    column("tracked", "SGP:str"),
    column("type", "CGS:u32"),
    column("rate", "MGP:u32"),
    column("rate_lim", "CLP:u32"),
    column("rate_max", "MGP:u32"),
    column("check_status", "MOP:str"),
    column("check_code", "MGP:u32"),
    column("check_duration", "MDP:u64"),
    column("hrsp_1xx", "MCP:u64"),
    column("hrsp_2xx", "MCP:u64"),
    column("hrsp_3xx", "MCP:u64"),
    column("hrsp_4xx", "MCP:u64"),
    column("hrsp_5xx", "MCP:u64"),
    column("hrsp_other", "MCP:u64"),
    column("hanafail", "MGP:u32"),
    column("req_rate", "MRP:u32"),
    column("req_rate_max", "MMP:u32"),
    column("req_tot", "MCP:u64"),
    column("cli_abrt", "MCP:u64"),
    column("srv_abrt", "MCP:u64"),
    column("comp_in", "MCP:u64"),
    column("comp_out", "MCP:u64"),
    column("comp_byp", "MCP:u64"),
    column("comp_rsp", "MCP:u64"),
    column("lastsess", "MAP:s32"),
    column("last_chk", "MOP:str"),
    column("last_agt", "MOS:str"),
    column("qtime", "MaP:u32"),
    column("ctime", "MaP:u32"),
    column("rtime", "MaP:u32"),
    column("ttime", "MaP:u32"),
    column("agent_status", "MOS:str"),
    column("agent_code", "MGP:u32"),
    column("agent_duration", "MGP:u32"),
    column("check_desc", "MOP:str"),
    column("agent_desc", "MOS:str"),
    column("check_rise", "CGS:u32"),
    column("check_fall", "CGS:u32"),
    column("check_health", "CGS:u32"),
    column("agent_rise", "MGP:u32"),
    column("agent_fall", "MGP:u32"),
    column("agent_health", "MGP:u32"),
    column("addr", "CGS:str"),
    column("cookie", "CNS:str"),
    column("mode", "CGS:str"),
    column("algo", "CGS:str"),
    column("conn_rate", "MRP:u32"),
    column("conn_rate_max", "MMP:u32"),
    column("conn_tot", "MCP:u64"),
    column("intercepted", "MCP:u64"),
    column("dcon", "MCP:u64"),
    column("dses", "MCP:u64"),
    column("wrew", "MCP:u64"),
    column("connect", "MCP:u64"),
    column("reuse", "MCP:u64"),
    column("cache_lookups", "MCP:u64"),
    column("cache_hits", "MCP:u64"),
    column("srv_icur", "MGP:u32"),
    column("src_ilim", "CLP:u32"),
    column("qtime_max", "MMP:u32"),
    column("ctime_max", "MMP:u32"),
    column("rtime_max", "MMP:u32"),
    column("ttime_max", "MMP:u32"),
    column("eint", "MCP:u64"),
    column("idle_conn_cur", "MGP:u32"),
    column("safe_conn_cur", "MGP:u32"),
    column("used_conn_cur", "MGP:u32"),
    column("need_conn_est", "MGP:u32"),
    column("uweight", "MaP:u32"),
    column("agg_server_status", "MGP:u32"),
    column("agg_server_check_status", "MGP:u32"),
    column("agg_check_status", "MGP:u32"),
    column("-", ""),
    column("p50", "MaP:u32"),
    column("p90", "MaP:u32"),
    column("p99", "MaP:u32"),
    column("reason", "SOP:str"),
];

/// The header, with the comma at its end that each line has.
pub fn header() -> String {
    let mut line = "# ".to_owned();
    for column in COLUMNS {
        line += column.name;
        line.push(',');
    }
    line.push('\n');
    line
}
