#compdef pointsman
# Made of the tables of flags by tests/tidy/completions.rs; changes here are lost.

_pointsman_backends() {
    local -a names
    names=(${(f)"$(pointsman ctl show backends 2>/dev/null | awk 'NR > 1 { print $1 }')"})
    compadd -a names
}

_pointsman() {
    if ((CURRENT > 2)) && [[ $words[2] == (ctl|top) ]]; then
        local command=$words[2]
        shift words
        ((CURRENT--))
        _pointsman_$command
        return
    fi
    ((CURRENT == 2)) && compadd ctl top
    _pointsman_process
}

_pointsman_process() {
    _arguments -s -S \
        '*'{-l,--listen=}'[Where clients connect]:value:' \
        '*'{-b,--backend=}'[Where connections go that no --route leads elsewhere]:value:' \
        '*--route=[Where clients go that ask for this name]:value:' \
        '--reuse-port[Share the ports of listeners, of TCP and UDP, with other processes of the same user that have this flag too]' \
        '--socket-mode=[Permission in octal of the file of a listener at unixPATH]:value:' \
        '--socket-owner=[To whom that file is given, by names of /etc/passwd and /etc/group or by numbers]:value:' \
        '*--resolver=[A server of DNS that is asked for the names of backends, in the order given]:value:' \
        '--dns-min-ttl=[An answer holds for so long at least, whatever its TTL says]:value:' \
        '--dns-max-ttl=[And for so long at most]:value:' \
        '--dns-families=[Which addresses of names are asked for and used]:value:(both)' \
        '(-a --balance)'{-a,--balance=}'[How a backend is chosen]:value:(least-connections round-robin random ip-hash consistent-hash first least-load least-time)' \
        '--slow-start=[Over this time the weight of a backend grows from a tenth to the whole once it was added or is back]:value:' \
        '--check=[What a probe asks]:value:' \
        '--check-host=[The host that http]:value:' \
        '--check-interval=[From one probe of a backend to the next]:value:' \
        '--check-timeout=[Within this time a probe must be answered]:value:' \
        '--rise=[Good probes in a row that bring a backend up, 1 to 1000]:value:' \
        '--fall=[Bad probes in a row that take a backend down, 1 to 1000]:value:' \
        '--all-down=[While every backend is down, refuse new connections at once, or spread them as if all were up]:value:(refuse spread)' \
        '--on-down=[When a backend goes down, keep its connections for as long as they live, or close them]:value:(keep close)' \
        '--on-removed=[When a backend is removed, which only a changed file of --config does, let its connections go on until they end, or close them]:value:(drain close)' \
        '--on-listener-removed=[When a listener is removed, which only a changed file of --config does, let the connections that came in there go on until they end, or close them]:value:(drain keep close)' \
        '--max-connections=[Client connections open at once, at least 1]:value:' \
        '--connect-timeout=[Within this time a backend must take a connection]:value:' \
        '--tls-handshake-timeout=[Within this time from being accepted a client of an https// or tls// listener must have shaken hands, and one of an sni// listener have sent its whole ClientHello]:value:' \
        '--retries=[Other backends tried after a connect failed, 0 to 100]:value:' \
        '--retry-budget=[Retries that a pool may have]:value:(none)' \
        '--idle-timeout=[A TCP connection, or one that HTTP made a tunnel (WebSocket), on which no byte moves for so long is closed]:value:' \
        '--half-close-timeout=[The same, once one side has finished sending]:value:' \
        '--tcp-keepalive=[A client or backend that is silent for so long is asked by TCP whether it is still there, and again four times in as much time]:value:' \
        '--drain-delay=[How long clients still come in after SIGTERM or SIGINT, while /ready of --admin and --health-path say 503]:value:' \
        '--drain-timeout=[How long connections may go on after SIGTERM or SIGINT]:value:' \
        '--queue=[Clients that may wait for a backend of a pool while all of them are at their max-connections=N, at most 1000000]:value:' \
        '--queue-timeout=[How long one waits there at most]:value:' \
        '--queue-order=[Who is served next]:value:(fifo adaptive)' \
        '--queue-urgent=[Requests that go before all others that wait, by a condition as rules have them (see docs/configuration.md), such as path ^= /pay]:value:' \
        '*--proxy-protocol=[Peers that begin each connection with a header of the PROXY protocol, version 1 or 2, and each datagram with one of version 2]:value:' \
        '--limit-connections=[Connections that one client may have open at once at a listener]:value:' \
        '--limit-connection-rate=[How often one client may connect to a listener]:value:' \
        '--limit-handshake-rate=[How often one client may begin a handshake at an https// or tls// listener]:value:' \
        '*--limit-request-rate=[How often one client may ask a service over HTTP]:value:' \
        '--limit-ipv6-prefix=[How many bits of an IPv6 address are one client, 32 to 128]:value:' \
        '--limit-clients=[Clients that each limit remembers, in 32 bytes each, 8 to 16777216, rounded up to a power of two]:value:' \
        '*--limit-exempt=[Clients that no limit holds for, as networks such as 10.0.0.0/8 or addresses]:value:' \
        '--reject=[What becomes of who is beyond a limit]:value:(close reset tarpit)' \
        '--tarpit=[How long --reject tarpit holds a client, at most 10m]:value:' \
        '--rate-limit-fields=[Whether answers of 429 say how much is allowed, in RateLimit-Policy and RateLimit as of draft-ietf-httpapi-ratelimit-headers-10]:value:(on off)' \
        '--max-connection-time=[Longest time that a connection of a client is kept, from its accept]:value:(none)' \
        '--limit-bandwidth=[Bytes a second that a client is sent, with all its connections to a listener together, such as 10m/s, 1k/s at least]:value:(none)' \
        '--limit-datagram-rate=[Datagrams that a client may send to a udp// listener, such as 100/s or 100/s,burst=500]:value:(none)' \
        '--limit-datagram-total=[Datagrams that all clients together may send to a udp// listener, such as 50000/s]:value:(none)' \
        '--limit-flows=[Flows that a client may have at once at a udp// listener, 1 to 1000000]:value:(none)' \
        '--guard-dry-run=[Rules of the guard that refuse nobody]:value:(all none)' \
        '--listener-reject=[What becomes of who is refused at a listener]:value:(close reset tarpit)' \
        '--listener-tarpit=[How long a listeners tarpit holds a connection, at most 10m]:value:' \
        '*--listener-limit-exempt=[Clients that no limit of a listener holds for]:value:(none)' \
        '--listener-limit-ipv6-prefix=[How many bits of an IPv6 address are one client at a listener, 32 to 128]:value:' \
        '--service-reject=[What becomes of a request, or of a connection that is relayed as it is, that is refused by a service]:value:(close reset tarpit)' \
        '--service-tarpit=[How long a services tarpit holds a request, at most 10m]:value:' \
        '*--service-limit-exempt=[Clients that no limit of a service holds for]:value:(none)' \
        '--service-limit-ipv6-prefix=[How many bits of an IPv6 address are one client of a service, 32 to 128]:value:' \
        '--service-rate-limit-fields=[Whether a services answers of 429 have RateLimit-Policy and RateLimit]:value:(on off)' \
        '*--allow=[Who may come in, by the address of the connection or of the PROXY header]:value:' \
        '*--deny=[Who may not come in, as at --allow]:value:' \
        '*--allow-file=[Files of networks as at --allow, one a line]:file:_files' \
        '*--deny-file=[Files of networks as at --deny, as at --allow-file]:file:_files' \
        '*--service-allow=[Who is served, as at --allow, but by the client that is meant]:value:' \
        '*--service-deny=[Who is not served, as at --service-allow]:value:' \
        '*--service-allow-file=[Files of networks as at --service-allow, as at --allow-file]:file:_files' \
        '*--service-deny-file=[Files of networks as at --service-deny, as at --allow-file]:file:_files' \
        '--ban-after=[A client (an IPv4 address, or a /64 of IPv6) is banned once it had N strikes within --ban-window, 1 to 60000]:value:' \
        '--ban-window=[Within this time from the first of them the strikes of --ban-after count together]:value:' \
        '--ban-time=[How long --ban-after bans]:value:' \
        '*--ban-exempt=[Who is never banned by --ban-after]:value:' \
        '--header-timeout=[Within this time from its first byte the head of a request must be complete, however steadily it drips]:value:' \
        '--keep-alive=[How long a clients connection is kept open for its next request, and for one that takes nothing of an answer of ours]:value:' \
        '--server-timeout=[A backend that says nothing for so long is cut off, before its answer and in the middle of it]:value:' \
        '--max-request-time=[Longest time from the first byte of a requests head to the end of its answer, however much moves]:value:(none)' \
        '--min-rate=[Least that a client must send of a requests body, or take of its answer, while it is waited for]:value:(none)' \
        '--abort-on-close=[Whether a request is given up once its client has finished sending, has nothing more to ask, and has waited for a quarter of a second]:value:(on off)' \
        '--max-body=[Largest body of a request, a number of bytes or one with its unit, k, m or g, each 1024 times the one before, such as 512k]:value:(none)' \
        '*--trusted-proxies=[Peers that are proxies themselves, as networks such as 10.0.0.0/8 or addresses]:value:' \
        '--forwarded-fields=[Which fields tell a backend of the client]:value:(x-forwarded forwarded x-real-ip none)' \
        '--via=[Tell backends in a Via field that a request came through this program, as HTTP wants it of proxies]:value:(on off)' \
        '--request-id=[Give each request an id, for its backend and its client in X-Request-Id, for the access log and for our own pages]:value:(off keep new)' \
        '--hash-key=[What ip-hash and consistent-hash place a request by]:value:' \
        '--sticky-cookie=[Keep a client on its backend by a cookie of this name]:value:' \
        '--sticky-key=[The secret that the sticky cookie is made with, 32 bytes or more, such as openssl rand -hex 32 writes]:file:_files' \
        '--sticky-drain=[When a backend is told to drain, give its clients with a sticky cookie another one and a new cookie, or let them stay for as long as it is up]:value:(rehome keep)' \
        '--sticky-same-site=[Which requests that other sites cause browsers send the sticky cookie with]:value:(lax strict none)' \
        '--eject-after=[Bad answers that take a backend out for a while, 0 to 1000]:value:' \
        '--health-path=[Answer at this path of every http// listener whether there is somebody to serve it]:value:' \
        '--stats-path=[Answer at this path of every http// listener with the state and the counts of all backends in JSON]:value:' \
        '*--stats-allow=[Who may read --stats-path, by the address of the connection]:value:' \
        '--backend-idle=[How long an idle connection to a backend is kept for the next request]:value:' \
        '--backend-idle-connections=[Idle connections kept to one backend at most, 0 to 100000]:value:' \
        '*--cert=[Certificate for https// and tls// listeners, in PEM, followed by those that lead to its root]:file:_files' \
        '--key=[Private key of a certificate, in PEM without a passphrase]:file:_files' \
        '--alpn=[What is spoken inside TLS at tls// listeners, by its name in ALPN, the preferred one first]:value:' \
        '--sni-strict[Refuse clients that ask for a name which no certificate is for, with the alert unrecognized_name]' \
        '--client-ca=[Clients show a certificate that leads to one in this file, in PEM]:file:_files' \
        '--client-cert=[Whether clients have to show a certificate, or may]:value:(required optional)' \
        '--ticket-keys=[Keys of TLS session tickets, one a line, as openssl rand -hex 32 writes them]:file:_files' \
        '--redirect-https[Answer every request at http// listeners with a redirect to the same place at the first https// listener, whose port is named unless it is 443]' \
        '--hsts=[Tell browsers in answers at https// listeners to come by HTTPS alone for so long (Strict-Transport-Security), instead of what backends say of it]:value:' \
        '--backend-ca=[Certificates of backends that speak TLS lead to one in this file, in PEM]:file:_files' \
        '--backend-cert=[Certificate that is shown to backends that ask for one, probes included, in PEM, followed by those that lead to its root]:file:_files' \
        '--backend-key=[Private key of --backend-cert, as at --key]:file:_files' \
        '--backend-verify=[Whether the certificates of backends are verified]:value:(required none)' \
        '--udp-timeout=[A flow, which is a clients address and its backend, is over when nothing moves on it for so long]:value:' \
        '--udp-responses=[A flow is over once N answers came to each of its datagrams, and with --udp-requests so many of those came too, 0 to 1000000]:value:' \
        '--udp-requests=[After N datagrams a client is given a backend anew, 1 to 1000000]:value:' \
        '--max-flows=[Flows at once, at least 1]:value:' \
        '*--admin=[Where operators and programs ask and change what runs]:value:' \
        '--admin-tokens=[Whoever comes to --admin over TCP needs a token of this file]:file:_files' \
        '*--admin-allowed-host=[A name that requests to --admin over TCP may have in their Host, besides those of loopback and the address listened at]:value:' \
        '--admin-cert=[Certificate for https// of --admin, in PEM, followed by those that lead to its root]:file:_files' \
        '--admin-key=[Private key of --admin-cert, as at --key]:file:_files' \
        '--admin-client-ca=[Who comes to https// of --admin has to show a certificate that leads to one in this file, in PEM]:file:_files' \
        '--admin-socket-mode=[The permission of UNIX sockets of --admin and --haproxy-socket, in octal]:value:' \
        '--haproxy-socket=[Take HAProxys commands at a UNIX socket of this path, for tools that speak them]:file:_files' \
        '--haproxy-level=[What those may who connect to --haproxy-socket]:value:(user operator admin)' \
        '--register[Servers may register themselves as backends, by a heartbeat to the API (see docs/registration.md), if they have a token for the pool]' \
        '--register-udp=[Take heartbeats of such servers in datagrams here, signed by a key of --admin-tokens, and never answered]:value:' \
        '--on-lapse=[When a server that registered itself is not heard in time, give it no new work, no work at all, or go on]:value:(drain down keep)' \
        '--metrics=[A listener where /metrics is read, by anybody who reaches it and in the clear, and nothing else but /health, /live and /ready]:value:' \
        '--history-memory=[How much memory the history of --admin may take, for charts]:value:(none)' \
        '--history-file=[A file in which each minute of the last day is kept, so that charts go on after a restart]:file:_files' \
        '--state-file=[A file of what survives a restart]:file:_files' \
        '--picks=[Keep the last N picks of a backend, 0 to 100000, so that --admin can say why a request, a connection or a flow went where it went]:value:' \
        '--config=[Read from this file, in TOML, what is served]:file:_files' \
        '(-t --check-config)'{-t,--check-config}'[Say all that is wrong with --config, or with the flags, and end]' \
        '--print-config[Show what is in force as a file for --config, each value with where it comes from, and end]' \
        '--takeover=[Take the place of the process that runs, of which this is the path of an admin UNIX socket (--admin unixPATH)]:value:' \
        '--access-log=[Write a line for every request, every TCP connection and every flow of UDP, to the end of this file]:file:_files' \
        '--access-log-format=[How its lines look]:value:(combined haproxy json)' \
        '--log-level=[What is logged to standard error]:value:(off error warn info debug trace)' \
        '--log-format=[How a line of that looks]:value:(text json journald)' \
        '*--seed=[Seed of everything random, so that a run can be repeated]:value:' \
        '(-V --version)'{-V,--version}'[Say which version this is]' \
        '(-h --help)'{-h,--help=}'[Show a screen of help (-h), this manual (--help), a chapter of it (--help TOPIC) or one flag (--help NAME)]::value:(traffic sockets names balancing health limits queue guard terms access http tls udp operation admin demo signals environment exit-codes examples)' \
        '--demo[Start three small backends of different speed on loopback, which echo UDP as well, listen in front of them at http//127.0.0.18000 and udp//127.0.0.18000 unless --listen says where, with /health and /stats unless the flags for them say otherwise, and tell what to try]'
}

_pointsman_top() {
    _arguments -s -S \
        '--once[one plain table, and out]' \
        '--json[one document, and out]' \
        '--interval=[between two looks, 200ms to 60s 1s]:value:' \
        '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
        '(-h --help)'{-h,--help}'[this]' \
        '*:socket:_files'
}

_pointsman_ctl() {
    local -a commands
    commands=(
        'show:what runs\: all pools with their backends, or one kind of thing'
        'add:a backend more, or another in its place'
        'remove:takes a backend out; its connections end by themselves'
        'drain:no new clients for a backend, be they stuck to it or not'
        'ready:a backend takes clients again'
        'maint:nobody new for a backend, and no probes'
        'weight:another share for a backend'
        'close:closes all connections to a backend'
        'reload:reads flags and file again, as SIGHUP does'
        'config:the configuration that holds; whether another is good; another'
        'overrides:what was told and differs from the configuration'
        'events:what happens, a line each, until Ctrl-C'
        'explain:what would become of a request, without sending it'
        'picks:where the last requests, connections and flows went, and why'
        'names:the names that are looked up, and what DNS says of them'
        'guard:the rules of the guard, and how much each refused'
        'bans:who is banned, until when and why; with an address the bans that hold for it'
        'ban:lets an address or a network in no more, for a while'
        'unban:lets a network in again'
        'health:whether all is well, for scripts\: exit code 0, or 1 with a line about each thing'
        'undrain:the whole process takes clients again'
        'stop:ends the process, as SIGTERM does'
        'help:what a command takes'
    )
    if ((CURRENT == 2)); then
        _describe command commands
        return
    fi
    case $words[2] in
        help)
            _describe command commands
            ;;
        show)
            _arguments -s -S \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:what:(services listeners pools backends backend)' \
                '3:word:_pointsman_backends'
            ;;
        add)
            _arguments -s -S \
                '--weight=[its share, 0 for no new connections 1]:value:' \
                '--max-connections=[so many at once no limit]:value:' \
                '--backup[only if none of the others can]' \
                '--tls[TLS towards it]' \
                '--sni=[the name in its certificate its host]:value:' \
                '--check-port=[probes go to this port that of the address]:value:' \
                '--proxy=[it is sent a header of the PROXY protocol none]:value:' \
                '--proxy-tlvs=[what a header of v2 says beside the addresses nothing]:value:' \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        remove)
            _arguments -s -S \
                '--now[close its connections at once]' \
                '--deadline=[close the connections that are left after this time, such as 60s]:value:' \
                '--wait[come back once no connection is left]' \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:backend:_pointsman_backends' \
                '3:word:'
            ;;
        drain)
            _arguments -s -S \
                '--deadline=[close the connections that are left after this time, such as 60s]:value:' \
                '--wait[come back once no connection is left]' \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:backend:_pointsman_backends' \
                '3:word:'
            ;;
        ready)
            _arguments -s -S \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:backend:_pointsman_backends' \
                '3:word:'
            ;;
        maint)
            _arguments -s -S \
                '--deadline=[close the connections that are left after this time, such as 60s]:value:' \
                '--wait[come back once no connection is left]' \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:backend:_pointsman_backends' \
                '3:word:'
            ;;
        weight)
            _arguments -s -S \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:backend:_pointsman_backends' \
                '3:word:'
            ;;
        close)
            _arguments -s -S \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:backend:_pointsman_backends' \
                '3:word:'
            ;;
        reload)
            _arguments -s -S \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        config)
            _arguments -s -S \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:what:(print check put)' \
                '3:word:_files'
            ;;
        overrides)
            _arguments -s -S \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:what:(list clear save)' \
                '3:word:_pointsman_backends'
            ;;
        events)
            _arguments -s -S \
                '--kind=[only events of these kinds]:value:' \
                '--since=[those behind this number first, as far as they are kept]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        explain)
            _arguments -s -S \
                '--from=[the clients address 127.0.0.1]:value:' \
                '*--header=[a field of the request]:value:' \
                '--listener=[the listener that it comes to the first that speaks so]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        picks)
            _arguments -s -S \
                '--backend=[only those that went there]:value:' \
                '--client=[only of this address or network]:value:' \
                '--request=[only the one of this request id, with all that is known of it]:value:' \
                '--service=[only of this service]:value:' \
                '--since=[those behind this number first, as far as they are kept]:value:' \
                '--limit=[so many at most 100]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        names)
            _arguments -s -S \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        guard)
            _arguments -s -S \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        bans)
            _arguments -s -S \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        ban)
            _arguments -s -S \
                '--for=[how long, such as 10m 10m]:value:' \
                '--why=[what for, shown with the ban]:value:' \
                '--force[however large the network is]' \
                '--close[close its connections as well]' \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        unban)
            _arguments -s -S \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        health)
            _arguments -s -S \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        undrain)
            _arguments -s -S \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
        stop)
            _arguments -s -S \
                '--dry-run[change nothing, say what would happen]' \
                '--reason=[what it is for, kept in the audit log]:value:' \
                '*--admin=[where it is]:value:' \
                '--token=[who asks, where tokens are wanted POINTSMAN_TOKEN]:value:' \
                '--json[what the API answers, for programs]' \
                '(-h --help)'{-h,--help}'[this]' \
                '1:command:' \
                '2:word:' \
                '3:word:'
            ;;
    esac
}

_pointsman "$@"
