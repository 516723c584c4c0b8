package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
)

const (
	statsUsers  = "weir-stats"
	statsAdmins = "weir-stats-admins"
)

// stats is HAProxy's page of statistics at a port of its own, for those users that the group's Tuning names.
func (r *renderer) stats() {
	page := r.node.Tuning.Stats
	if page == nil || slices.ContainsFunc(r.ports(), func(p port) bool { return r.localPort(p.number) == page.Port }) {
		return // sites come first
	}
	at := netip.AddrPortFrom(page.Address, uint16(page.Port))
	if r.env.Unbindable[at] {
		return
	}
	owner := r.tuningOwner()
	list := r.section("userlist", statsUsers)
	for _, u := range page.Users {
		name := statsUsers
		if u.Admin {
			name = statsAdmins
		}
		list.own(owner, "user %s password %s groups %s", u.Name, u.PasswordHash, name)
	}
	groups := map[string]bool{}
	for _, u := range page.Users {
		groups[map[bool]string{true: statsAdmins, false: statsUsers}[u.Admin]] = true
	}
	for i, name := range sortedKeys(groups) {
		list.Lines = slices.Insert(list.Lines, i, Line{Text: "group " + name, Owner: owner})
	}
	s := r.section("frontend", fmt.Sprintf("stats-%d from clients-http", page.Port))
	s.own(owner, "bind %s name stats-%d", at, page.Port)
	s.add("http-request set-log-level silent") // and not "no log", of which HAProxy warns where the format is set
	s.add("http-request auth realm statistics unless { http_auth(%s) }", statsUsers)
	s.add("stats enable")
	s.add("stats uri /")
	s.add("stats refresh 10s")
	s.add("stats show-legends")
	if groups[statsAdmins] {
		s.add("stats admin if { http_auth_group(%s) %s }", statsUsers, statsAdmins)
	}
}
