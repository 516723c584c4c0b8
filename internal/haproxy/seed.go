package haproxy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// stateHead is what a file of servers' states of version 1 begins with; HAProxy finds columns by their place.
const stateHead = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
`

// SeedState writes the servers' state for a HAProxy that reads want in the place of a configuration that Weir did not
// write, of which rows are the statistics. Who was up there, at the same address, is up; who was down waits for its
// first check, and so do others of its pool. A pool of whose members nothing is known is taken for up whole: it may have
// served, and refusing every request until the first check would be worse.
func SeedState(rows []StatRow, want Config) string {
	up := map[netip.AddrPort]bool{}
	for _, row := range rows {
		addr, err := netip.ParseAddrPort(row.Address)
		if row.Type != StatServer || err != nil {
			continue
		}
		addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		status, _, _ := strings.Cut(row.Status, " ")
		up[addr] = up[addr] || status == "UP" || status == "NOLB" || status == "no"
	}
	var b strings.Builder
	b.WriteString(stateHead)
	for i := range want.Backends {
		seedBackend(&b, up, &want.Backends[i])
	}
	return b.String()
}

func seedBackend(out *strings.Builder, up map[netip.AddrPort]bool, b *Backend) {
	anybody := false
	for i := range b.Servers {
		addr, err := netip.ParseAddrPort(b.Servers[i].Address)
		_, known := up[addr]
		anybody = anybody || err == nil && known
	}
	for i := range b.Servers {
		s := &b.Servers[i]
		addr, err := netip.ParseAddrPort(s.Address)
		if err != nil || !s.Check || s.Maintenance || anybody && !up[addr] {
			continue
		}
		fmt.Fprintf(out, "1 %s %d %s %s 2 0 %d %d 0 6 3 %d 6 0 0 1 - %d - 0 0 - - 0\n",
			b.Name, s.ID, s.Name, addr.Addr(), s.Weight, s.Weight, fullHealth(s.Options), addr.Port())
	}
}

// fullHealth is what HAProxy counts of a server whose checks have gone well for long: rise and fall less one.
func fullHealth(options string) int {
	health := 2 + 3 - 1
	words := strings.Fields(options)
	for i, w := range words[:max(len(words)-1, 0)] {
		n, err := strconv.Atoi(words[i+1])
		switch {
		case err != nil:
		case w == "rise":
			health += n - 2
		case w == "fall":
			health += n - 3
		}
	}
	return health
}
