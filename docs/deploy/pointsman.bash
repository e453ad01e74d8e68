# Made of the tables of flags by tests/tidy/completions.rs; changes here are lost.

_pointsman_words() {
    COMPREPLY=($(compgen -W "$1" -- "$cur"))
}

_pointsman_files() {
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$cur"))
}

_pointsman_backends() {
    _pointsman_words "$(pointsman ctl show backends 2>/dev/null | awk 'NR > 1 { print $1 }')"
}

_pointsman() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} first=${COMP_WORDS[1]}
    # --flag=value comes as three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    COMPREPLY=()
    if ((COMP_CWORD > 1)) && [[ $first == ctl ]]; then
        _pointsman_ctl
    elif ((COMP_CWORD > 1)) && [[ $first == top ]]; then
        _pointsman_top
    else
        _pointsman_process
    fi
}

_pointsman_process() {
    case $prev in
        -l | --listen)
            :
            return
            ;;
        -b | --backend)
            :
            return
            ;;
        --route)
            :
            return
            ;;
        --socket-mode)
            :
            return
            ;;
        --socket-owner)
            :
            return
            ;;
        --resolver)
            :
            return
            ;;
        --dns-min-ttl)
            :
            return
            ;;
        --dns-max-ttl)
            :
            return
            ;;
        --dns-families)
            _pointsman_words "both"
            return
            ;;
        -a | --balance)
            _pointsman_words "least-connections round-robin random ip-hash consistent-hash first least-load least-time"
            return
            ;;
        --slow-start)
            :
            return
            ;;
        --check)
            :
            return
            ;;
        --check-host)
            :
            return
            ;;
        --check-interval)
            :
            return
            ;;
        --check-timeout)
            :
            return
            ;;
        --rise)
            :
            return
            ;;
        --fall)
            :
            return
            ;;
        --all-down)
            _pointsman_words "refuse spread"
            return
            ;;
        --on-down)
            _pointsman_words "keep close"
            return
            ;;
        --on-removed)
            _pointsman_words "drain close"
            return
            ;;
        --on-listener-removed)
            _pointsman_words "drain keep close"
            return
            ;;
        --max-connections)
            :
            return
            ;;
        --connect-timeout)
            :
            return
            ;;
        --tls-handshake-timeout)
            :
            return
            ;;
        --retries)
            :
            return
            ;;
        --retry-budget)
            _pointsman_words "none"
            return
            ;;
        --idle-timeout)
            :
            return
            ;;
        --half-close-timeout)
            :
            return
            ;;
        --tcp-keepalive)
            :
            return
            ;;
        --drain-delay)
            :
            return
            ;;
        --drain-timeout)
            :
            return
            ;;
        --queue)
            :
            return
            ;;
        --queue-timeout)
            :
            return
            ;;
        --queue-order)
            _pointsman_words "fifo adaptive"
            return
            ;;
        --queue-urgent)
            :
            return
            ;;
        --proxy-protocol)
            :
            return
            ;;
        --limit-connections)
            :
            return
            ;;
        --limit-connection-rate)
            :
            return
            ;;
        --limit-handshake-rate)
            :
            return
            ;;
        --limit-request-rate)
            :
            return
            ;;
        --limit-ipv6-prefix)
            :
            return
            ;;
        --limit-clients)
            :
            return
            ;;
        --limit-exempt)
            :
            return
            ;;
        --reject)
            _pointsman_words "close reset tarpit"
            return
            ;;
        --tarpit)
            :
            return
            ;;
        --rate-limit-fields)
            _pointsman_words "on off"
            return
            ;;
        --max-connection-time)
            _pointsman_words "none"
            return
            ;;
        --limit-bandwidth)
            _pointsman_words "none"
            return
            ;;
        --limit-datagram-rate)
            _pointsman_words "none"
            return
            ;;
        --limit-datagram-total)
            _pointsman_words "none"
            return
            ;;
        --limit-flows)
            _pointsman_words "none"
            return
            ;;
        --guard-dry-run)
            _pointsman_words "all none"
            return
            ;;
        --listener-reject)
            _pointsman_words "close reset tarpit"
            return
            ;;
        --listener-tarpit)
            :
            return
            ;;
        --listener-limit-exempt)
            _pointsman_words "none"
            return
            ;;
        --listener-limit-ipv6-prefix)
            :
            return
            ;;
        --service-reject)
            _pointsman_words "close reset tarpit"
            return
            ;;
        --service-tarpit)
            :
            return
            ;;
        --service-limit-exempt)
            _pointsman_words "none"
            return
            ;;
        --service-limit-ipv6-prefix)
            :
            return
            ;;
        --service-rate-limit-fields)
            _pointsman_words "on off"
            return
            ;;
        --allow)
            :
            return
            ;;
        --deny)
            :
            return
            ;;
        --allow-file)
            _pointsman_files
            return
            ;;
        --deny-file)
            _pointsman_files
            return
            ;;
        --service-allow)
            :
            return
            ;;
        --service-deny)
            :
            return
            ;;
        --service-allow-file)
            _pointsman_files
            return
            ;;
        --service-deny-file)
            _pointsman_files
            return
            ;;
        --ban-after)
            :
            return
            ;;
        --ban-window)
            :
            return
            ;;
        --ban-time)
            :
            return
            ;;
        --ban-exempt)
            :
            return
            ;;
        --header-timeout)
            :
            return
            ;;
        --keep-alive)
            :
            return
            ;;
        --server-timeout)
            :
            return
            ;;
        --max-request-time)
            _pointsman_words "none"
            return
            ;;
        --min-rate)
            _pointsman_words "none"
            return
            ;;
        --abort-on-close)
            _pointsman_words "on off"
            return
            ;;
        --max-body)
            _pointsman_words "none"
            return
            ;;
        --trusted-proxies)
            :
            return
            ;;
        --forwarded-fields)
            _pointsman_words "x-forwarded forwarded x-real-ip none"
            return
            ;;
        --via)
            _pointsman_words "on off"
            return
            ;;
        --request-id)
            _pointsman_words "off keep new"
            return
            ;;
        --hash-key)
            :
            return
            ;;
        --sticky-cookie)
            :
            return
            ;;
        --sticky-key)
            _pointsman_files
            return
            ;;
        --sticky-drain)
            _pointsman_words "rehome keep"
            return
            ;;
        --sticky-same-site)
            _pointsman_words "lax strict none"
            return
            ;;
        --eject-after)
            :
            return
            ;;
        --health-path)
            :
            return
            ;;
        --stats-path)
            :
            return
            ;;
        --stats-allow)
            :
            return
            ;;
        --backend-idle)
            :
            return
            ;;
        --backend-idle-connections)
            :
            return
            ;;
        --cert)
            _pointsman_files
            return
            ;;
        --key)
            _pointsman_files
            return
            ;;
        --alpn)
            :
            return
            ;;
        --client-ca)
            _pointsman_files
            return
            ;;
        --client-cert)
            _pointsman_words "required optional"
            return
            ;;
        --ticket-keys)
            _pointsman_files
            return
            ;;
        --hsts)
            :
            return
            ;;
        --backend-ca)
            _pointsman_files
            return
            ;;
        --backend-cert)
            _pointsman_files
            return
            ;;
        --backend-key)
            _pointsman_files
            return
            ;;
        --backend-verify)
            _pointsman_words "required none"
            return
            ;;
        --udp-timeout)
            :
            return
            ;;
        --udp-responses)
            :
            return
            ;;
        --udp-requests)
            :
            return
            ;;
        --max-flows)
            :
            return
            ;;
        --admin)
            :
            return
            ;;
        --admin-tokens)
            _pointsman_files
            return
            ;;
        --admin-allowed-host)
            :
            return
            ;;
        --admin-cert)
            _pointsman_files
            return
            ;;
        --admin-key)
            _pointsman_files
            return
            ;;
        --admin-client-ca)
            _pointsman_files
            return
            ;;
        --admin-socket-mode)
            :
            return
            ;;
        --haproxy-socket)
            _pointsman_files
            return
            ;;
        --haproxy-level)
            _pointsman_words "user operator admin"
            return
            ;;
        --register-udp)
            :
            return
            ;;
        --on-lapse)
            _pointsman_words "drain down keep"
            return
            ;;
        --metrics)
            :
            return
            ;;
        --history-memory)
            _pointsman_words "none"
            return
            ;;
        --history-file)
            _pointsman_files
            return
            ;;
        --state-file)
            _pointsman_files
            return
            ;;
        --picks)
            :
            return
            ;;
        --config)
            _pointsman_files
            return
            ;;
        --takeover)
            :
            return
            ;;
        --access-log)
            _pointsman_files
            return
            ;;
        --access-log-format)
            _pointsman_words "combined haproxy json"
            return
            ;;
        --log-level)
            _pointsman_words "off error warn info debug trace"
            return
            ;;
        --log-format)
            _pointsman_words "text json journald"
            return
            ;;
        --seed)
            :
            return
            ;;
        -h | --help)
            _pointsman_words "traffic sockets names balancing health limits queue guard terms access http tls udp operation admin demo signals environment exit-codes examples"
            return
            ;;
    esac
    local words="-l --listen -b --backend --route --reuse-port --socket-mode --socket-owner --resolver --dns-min-ttl --dns-max-ttl --dns-families -a --balance --slow-start --check --check-host --check-interval --check-timeout --rise --fall --all-down --on-down --on-removed --on-listener-removed --max-connections --connect-timeout --tls-handshake-timeout --retries --retry-budget --idle-timeout --half-close-timeout --tcp-keepalive --drain-delay --drain-timeout --queue --queue-timeout --queue-order --queue-urgent --proxy-protocol --limit-connections --limit-connection-rate --limit-handshake-rate --limit-request-rate --limit-ipv6-prefix --limit-clients --limit-exempt --reject --tarpit --rate-limit-fields --max-connection-time --limit-bandwidth --limit-datagram-rate --limit-datagram-total --limit-flows --guard-dry-run --listener-reject --listener-tarpit --listener-limit-exempt --listener-limit-ipv6-prefix --service-reject --service-tarpit --service-limit-exempt --service-limit-ipv6-prefix --service-rate-limit-fields --allow --deny --allow-file --deny-file --service-allow --service-deny --service-allow-file --service-deny-file --ban-after --ban-window --ban-time --ban-exempt --header-timeout --keep-alive --server-timeout --max-request-time --min-rate --abort-on-close --max-body --trusted-proxies --forwarded-fields --via --request-id --hash-key --sticky-cookie --sticky-key --sticky-drain --sticky-same-site --eject-after --health-path --stats-path --stats-allow --backend-idle --backend-idle-connections --cert --key --alpn --sni-strict --client-ca --client-cert --ticket-keys --redirect-https --hsts --backend-ca --backend-cert --backend-key --backend-verify --udp-timeout --udp-responses --udp-requests --max-flows --admin --admin-tokens --admin-allowed-host --admin-cert --admin-key --admin-client-ca --admin-socket-mode --haproxy-socket --haproxy-level --register --register-udp --on-lapse --metrics --history-memory --history-file --state-file --picks --config -t --check-config --print-config --takeover --access-log --access-log-format --log-level --log-format --seed -V --version -h --help --demo"
    ((COMP_CWORD == 1)) && words+=" ctl top"
    _pointsman_words "$words"
}

_pointsman_top() {
    case $prev in
        --interval)
            :
            return
            ;;
        --token)
            :
            return
            ;;
    esac
    if [[ $cur == -* ]]; then
        _pointsman_words "--once --json --interval --token -h --help"
    else
        _pointsman_files
    fi
}

_pointsman_ctl() {
    case $prev in
        --admin)
            :
            return
            ;;
        --token)
            :
            return
            ;;
        --weight)
            :
            return
            ;;
        --max-connections)
            :
            return
            ;;
        --sni)
            :
            return
            ;;
        --check-port)
            :
            return
            ;;
        --proxy)
            :
            return
            ;;
        --proxy-tlvs)
            :
            return
            ;;
        --reason)
            :
            return
            ;;
        --deadline)
            :
            return
            ;;
        --kind)
            :
            return
            ;;
        --since)
            :
            return
            ;;
        --from)
            :
            return
            ;;
        --header)
            :
            return
            ;;
        --listener)
            :
            return
            ;;
        --backend)
            :
            return
            ;;
        --client)
            :
            return
            ;;
        --request)
            :
            return
            ;;
        --service)
            :
            return
            ;;
        --limit)
            :
            return
            ;;
        --for)
            :
            return
            ;;
        --why)
            :
            return
            ;;
    esac
    if ((COMP_CWORD == 2)); then
        _pointsman_words "show add remove drain ready maint weight close reload config overrides events explain picks names guard bans ban unban health undrain stop help --help"
        return
    fi
    case ${COMP_WORDS[2]} in
        help)
            _pointsman_words "show add remove drain ready maint weight close reload config overrides events explain picks names guard bans ban unban health undrain stop"
            ;;
        show)
            if [[ $cur == -* ]]; then
                _pointsman_words "--admin --token --json -h --help"
            elif ((COMP_CWORD == 3)); then
                _pointsman_words "services listeners pools backends backend"
            elif [[ $prev == backend || $prev == clear ]]; then
                _pointsman_backends
            fi
            ;;
        add)
            if [[ $cur == -* ]]; then
                _pointsman_words "--weight --max-connections --backup --tls --sni --check-port --proxy --proxy-tlvs --dry-run --reason --admin --token --json -h --help"
            fi
            ;;
        remove)
            if [[ $cur == -* ]]; then
                _pointsman_words "--now --deadline --wait --dry-run --reason --admin --token --json -h --help"
            elif ((COMP_CWORD == 3)); then
                _pointsman_backends
            fi
            ;;
        drain)
            if [[ $cur == -* ]]; then
                _pointsman_words "--deadline --wait --dry-run --reason --admin --token --json -h --help"
            elif ((COMP_CWORD == 3)); then
                _pointsman_backends
            fi
            ;;
        ready)
            if [[ $cur == -* ]]; then
                _pointsman_words "--dry-run --reason --admin --token --json -h --help"
            elif ((COMP_CWORD == 3)); then
                _pointsman_backends
            fi
            ;;
        maint)
            if [[ $cur == -* ]]; then
                _pointsman_words "--deadline --wait --dry-run --reason --admin --token --json -h --help"
            elif ((COMP_CWORD == 3)); then
                _pointsman_backends
            fi
            ;;
        weight)
            if [[ $cur == -* ]]; then
                _pointsman_words "--dry-run --reason --admin --token --json -h --help"
            elif ((COMP_CWORD == 3)); then
                _pointsman_backends
            fi
            ;;
        close)
            if [[ $cur == -* ]]; then
                _pointsman_words "--dry-run --reason --admin --token --json -h --help"
            elif ((COMP_CWORD == 3)); then
                _pointsman_backends
            fi
            ;;
        reload)
            if [[ $cur == -* ]]; then
                _pointsman_words "--dry-run --reason --admin --token --json -h --help"
            fi
            ;;
        config)
            if [[ $cur == -* ]]; then
                _pointsman_words "--dry-run --reason --admin --token --json -h --help"
            elif ((COMP_CWORD == 3)); then
                _pointsman_words "print check put"
            else
                _pointsman_files
            fi
            ;;
        overrides)
            if [[ $cur == -* ]]; then
                _pointsman_words "--dry-run --reason --admin --token --json -h --help"
            elif ((COMP_CWORD == 3)); then
                _pointsman_words "list clear save"
            elif [[ $prev == backend || $prev == clear ]]; then
                _pointsman_backends
            fi
            ;;
        events)
            if [[ $cur == -* ]]; then
                _pointsman_words "--kind --since --admin --token --json -h --help"
            fi
            ;;
        explain)
            if [[ $cur == -* ]]; then
                _pointsman_words "--from --header --listener --admin --token --json -h --help"
            fi
            ;;
        picks)
            if [[ $cur == -* ]]; then
                _pointsman_words "--backend --client --request --service --since --limit --admin --token --json -h --help"
            fi
            ;;
        names)
            if [[ $cur == -* ]]; then
                _pointsman_words "--admin --token --json -h --help"
            fi
            ;;
        guard)
            if [[ $cur == -* ]]; then
                _pointsman_words "--admin --token --json -h --help"
            fi
            ;;
        bans)
            if [[ $cur == -* ]]; then
                _pointsman_words "--admin --token --json -h --help"
            fi
            ;;
        ban)
            if [[ $cur == -* ]]; then
                _pointsman_words "--for --why --force --close --dry-run --reason --admin --token --json -h --help"
            fi
            ;;
        unban)
            if [[ $cur == -* ]]; then
                _pointsman_words "--dry-run --reason --admin --token --json -h --help"
            fi
            ;;
        health)
            if [[ $cur == -* ]]; then
                _pointsman_words "--admin --token --json -h --help"
            fi
            ;;
        undrain)
            if [[ $cur == -* ]]; then
                _pointsman_words "--dry-run --reason --admin --token --json -h --help"
            fi
            ;;
        stop)
            if [[ $cur == -* ]]; then
                _pointsman_words "--dry-run --reason --admin --token --json -h --help"
            fi
            ;;
    esac
}

complete -F _pointsman pointsman
