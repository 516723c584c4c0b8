package weir_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// ground is what the cases below change.
const ground = `
- {kind: Zone, metadata: {name: az1}, spec: {}}
- {kind: Zone, metadata: {name: az2}, spec: {}}
- {kind: Role, metadata: {name: web}, spec: {}}
- {kind: Role, metadata: {name: media}, spec: {}}
- {kind: Tuning, metadata: {name: t}, spec: {ports: [{port: 443, mode: https}]}}
- {kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [203.0.113.0/28], tuning: t}}
- {kind: LoadBalancerGroup, metadata: {name: lab}, spec: {ranges: [203.0.113.0/24]}}
- {kind: LoadBalancer, metadata: {name: lb1}, spec: {group: edge, zone: az1, localPorts: {80: 8080}}}
- {kind: IPAddress, metadata: {name: vip1, role: web}, spec: {address: 203.0.113.1, homeZone: az1, groups: [edge]}}
- {kind: IPAddress, metadata: {name: vip2}, spec: {address: 203.0.113.2, groups: [edge]}}
- {kind: IPAddress, metadata: {name: vip3}, spec: {address: 203.0.113.3, groups: [lab]}}
- {kind: ErrorPage, metadata: {name: page, role: web, shareWith: [media]}, spec: {body: x}}
- {kind: AccessList, metadata: {name: list, role: media}, spec: {networks: [192.0.2.0/24]}}
- {kind: Server, metadata: {name: s1, role: web}, spec: {address: 10.0.0.1, zone: az1, ports: {http: 80}}}
- {kind: Server, metadata: {name: s2, role: media}, spec: {address: 10.0.0.2, zone: az1, ports: {http: 80}}}
- {kind: Pool, metadata: {name: p, role: web}, spec: {selector: {role: web}, port: http, members: [{name: old1, address: 10.0.0.9, port: 80}]}}
- {kind: Pool, metadata: {name: l4, role: web}, spec: {mode: tcp, selector: {role: web}, port: http}}
- {kind: Site, metadata: {name: www, role: web}, spec: {hostnames: [www.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: p}, errorPages: {503: page}}}
- {kind: Site, metadata: {name: ldap, role: web}, spec: {mode: tcp, addresses: [vip1], listeners: [{port: 389}], backends: {default: l4}}}
- {kind: Site, metadata: {name: any, role: web}, spec: {hostnames: ["*"], addresses: [vip2], listeners: [{port: 80}], backends: {default: p}}}
`

func decode(t testing.TB, text string) []*weir.Object {
	t.Helper()
	list, err := weir.Decode("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// write applies manifests and deletions, and gives what Check says about it.
func write(t testing.TB, before *weir.Set, text string, deleted ...weir.Ref) []weir.Problem {
	t.Helper()
	after := before.Copy()
	written := slices.Clone(deleted)
	for _, r := range deleted {
		after.Delete(r)
	}
	if text != "" {
		for _, o := range decode(t, text) {
			after.Put(o)
			written = append(written, o.Ref())
		}
	}
	return weir.Check(before, after, written)
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	set := weir.NewSet(decode(t, ground)...)
	if problems := write(t, weir.NewSet(), ground); len(problems) > 0 {
		t.Fatalf("the ground is refused: %v", problems)
	}
	site := func(name, spec string) string {
		return "{kind: Site, metadata: {name: " + name + ", role: web}, spec: {" + spec + "}}"
	}
	shift := func(role, spec string) string {
		return "{kind: ZoneShift, metadata: {name: s, role: " + role + "}, spec: {" + spec + ", reason: x, expiresAt: 2030-01-01T00:00:00Z}}"
	}
	for name, c := range map[string]struct{ text, del, want string }{
		"missing reference":    {text: site("a", "hostnames: [a.example.com], addresses: [vip9], listeners: [{port: 80}], backends: {default: p}"), want: `Site/a: spec.addresses[0]: IPAddress "vip9" does not exist`},
		"missing role":         {text: "{kind: Map, metadata: {name: m, role: nobody}, spec: {match: exact}}", want: `Map/m: metadata.role: Role "nobody" does not exist`},
		"missing share":        {text: "{kind: Map, metadata: {name: m, shareWith: [nobody]}, spec: {match: exact}}", want: `Map/m: metadata.shareWith[0]: Role "nobody" does not exist`},
		"another role's":       {text: site("www", "hostnames: [www.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: p}, routes: [{match: {accessList: list}, backend: default}]"), want: "Site/www: spec.routes[0].match.accessList: AccessList/list belongs to role media, which does not share it with role web"},
		"delete what is used":  {del: "Pool/p", want: "Pool/p: can't be deleted: Site/any and Site/www refer to it"},
		"delete a zone":        {del: "Zone/az1", want: "Zone/az1: can't be deleted: IPAddress/vip1, LoadBalancer/lb1, Server/s1 and Server/s2 refer to it"},
		"delete a role":        {del: "Role/media", want: "Role/media: can't be deleted: AccessList/list, ErrorPage/page and Server/s2"},
		"change hands":         {text: "{kind: Pool, metadata: {name: l4, role: media}, spec: {mode: tcp, selector: {role: media}, port: http}}", want: "Pool/l4: metadata.role: Site/ldap refers to it and would no longer be allowed to"},
		"the same address":     {text: "{kind: IPAddress, metadata: {name: vip9}, spec: {address: 203.0.113.1, groups: [edge]}}", want: "IPAddress/vip9: spec.address: 203.0.113.1 is IPAddress/vip1 already"},
		"out of range":         {text: "{kind: IPAddress, metadata: {name: vip9}, spec: {address: 203.0.113.99, groups: [lab, edge]}}", want: "IPAddress/vip9: spec.groups[1]: 203.0.113.99 is in none of the ranges of group edge, [203.0.113.0/28]"},
		"ranges lost":          {text: "{kind: LoadBalancerGroup, metadata: {name: lab}, spec: {ranges: [203.0.113.128/25]}}", want: "LoadBalancerGroup/lab: spec.ranges: IPAddress/vip3 would be in none of the ranges"},
		"mode of a site":       {text: site("a", "hostnames: [a.example.com], addresses: [vip2], listeners: [{port: 389}], backends: {default: p}"), want: "Site/a: spec.listeners[0].port: port 389 of group edge speaks tcp, as Site/ldap asks, and can't speak http too"},
		"mode of a tuning":     {text: site("a", "hostnames: [a.example.com], addresses: [vip2], listeners: [{port: 443}], backends: {default: p}"), want: "Site/a: spec.listeners[0].port: port 443 of group edge speaks https, as Tuning/t asks"},
		"tuning against site":  {text: "{kind: Tuning, metadata: {name: t}, spec: {ports: [{port: 80, mode: https}]}}", want: "Tuning/t: spec.ports[0]: port 80 of group edge speaks http, as Site/any asks"},
		"statistics at site's": {text: "{kind: Tuning, metadata: {name: t}, spec: {stats: {port: 80, users: [{name: a, passwordHash: $5$abcdefgh$0123456789012345678901234567890123456789012}]}}}", want: "Tuning/t: spec.stats.port: port 80 of group edge speaks http, as Site/any asks, and can't speak statistics too"},
		"tuning chosen":        {text: "{kind: Tuning, metadata: {name: u}, spec: {ports: [{port: 80, mode: tcp}]}}\n---\n{kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [203.0.113.0/28], tuning: u}}", want: "Tuning/u: spec.ports[0]: port 80 of group edge speaks http, as Site/any asks"},
		"host name taken":      {text: site("a", "hostnames: [a.example.com, www.example.com], addresses: [vip2], listeners: [{port: 81}], backends: {default: p}"), want: `Site/a: spec.hostnames[1]: "www.example.com" belongs to Site/www in group edge`},
		"every name taken":     {text: site("a", "hostnames: [\"*\"], addresses: [vip2], listeners: [{port: 80}], backends: {default: p}"), want: "Site/a: spec.listeners[0].port: Site/any takes everything at IPAddress/vip2, port 80, already"},
		"tcp port taken":       {text: site("a", "mode: tcp, addresses: [vip1], listeners: [{port: 389}], backends: {default: l4}"), want: "Site/a: spec.listeners[0].port: Site/ldap takes everything at IPAddress/vip1, port 389, already"},
		"moved into conflict":  {text: site("a", "hostnames: [www.example.com], addresses: [vip3], listeners: [{port: 80}], backends: {default: p}"), want: ""},
		"two new of one name":  {text: site("a", "hostnames: [x.example.com], addresses: [vip2], listeners: [{port: 81}], backends: {default: p}") + "\n---\n" + site("b", "hostnames: [x.example.com], addresses: [vip1], listeners: [{port: 82}], backends: {default: p}"), want: `Site/b: spec.hostnames[0]: "x.example.com" belongs to Site/a`},
		"another's host name":  {text: "{kind: Issuer, metadata: {name: le}, spec: {type: acme, acme: {directory: \"https://ca.example/dir\"}}}\n---\n{kind: Certificate, metadata: {name: c, role: media}, spec: {issuer: le, names: [www.example.com]}}", want: `Certificate/c: spec.names[0]: "www.example.com" is a name of Site/www, and their roles differ`},
		"host names of a role": {text: "{kind: Role, metadata: {name: web}, spec: {hostnames: [\"*.example.com\"]}}", want: "Role/web: spec.hostnames: Site/any would have names"},
		"groups of a role":     {text: "{kind: Role, metadata: {name: web}, spec: {groups: [lab]}}", want: "Role/web: spec.groups: Site/any, Site/ldap, Site/www and IPAddress/vip1 would be in groups"},
		"tcp site, http pool":  {text: site("ldap", "mode: tcp, addresses: [vip1], listeners: [{port: 389}], backends: {default: p}"), want: "Site/ldap: spec.backends.default: Pool/p has mode http; a site of mode tcp needs pools of mode tcp"},
		"pool changes mode":    {text: "{kind: Pool, metadata: {name: p, role: web}, spec: {mode: tcp, selector: {role: web}, port: http}}", want: "Pool/p: spec.mode: Site/any and Site/www need the pool in another mode than tcp"},
		"another's servers":    {text: "{kind: Pool, metadata: {name: q, role: web}, spec: {selector: {role: media}, port: http}}", want: "Pool/q: spec.selector.role: no Server of role media is shared with role web"},
		"override of nothing":  {text: "{kind: Override, metadata: {name: o, role: web}, spec: {server: s9, state: drain, reason: x, expiresAt: 2030-01-01T00:00:00Z}}", want: `Override/o: spec.server: "s9" is neither a Server nor a static member`},
		"override of another":  {text: "{kind: Override, metadata: {name: o, role: web}, spec: {server: s2, state: drain, reason: x, expiresAt: 2030-01-01T00:00:00Z}}", want: `Override/o: spec.server: "s2" is neither`},
		"override, other pool": {text: "{kind: Override, metadata: {name: o, role: web}, spec: {server: old1, pool: l4, state: drain, reason: x, expiresAt: 2030-01-01T00:00:00Z}}", want: `Override/o: spec.server: "old1" is no server of Pool/l4 that role web may move`},
		"fallback, other mode": {text: site("www", "hostnames: [www.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: p}, routing: {fallback: l4}"), want: "Site/www: spec.routing.fallback: Pool/l4 has mode tcp; a site of mode http needs pools of mode http"},
		"shift of nothing":     {text: shift("web", "sites: [nope], zone: az1"), want: `ZoneShift/s: spec.sites[0]: Site "nope" does not exist`},
		"shift of another":     {text: shift("media", "sites: [www], zone: az1"), want: "ZoneShift/s: spec.sites[0]: Site/www is not role media's"},
		"shift of a role":      {text: shift("media", "role: web, zone: az1"), want: "ZoneShift/s: spec.role: role media can't shift the sites of role web"},
		"shift of all":         {text: shift("web", "all: true, zone: az1"), want: "ZoneShift/s: spec.all: shifts the sites of every role, which role web can't"},
		"shift of its own":     {text: shift("web", "role: web, zone: az1"), want: ""},
		"shift by an admin":    {text: shift("''", "all: true, zone: az1"), want: ""},
		"shift from nowhere":   {text: shift("web", "sites: [www], zone: az9"), want: `ZoneShift/s: spec.zone: Zone "az9" does not exist`},
		"limit of requests":    {text: "{kind: RateLimit, metadata: {name: r}, spec: {count: requests, period: 1s, hard: {above: 5}}}\n---\n" + site("ldap", "mode: tcp, addresses: [vip1], listeners: [{port: 389}], backends: {default: l4}, rateLimits: [r]"), want: "Site/ldap: spec.rateLimits[0]: RateLimit/r counts requests, and the site sees connections alone"},
		"limit by a cookie":    {text: "{kind: RateLimit, metadata: {name: r}, spec: {count: connections, period: 1s, key: {cookie: c}, hard: {above: 5}}}\n---\n" + site("ldap", "mode: tcp, addresses: [vip1], listeners: [{port: 389}], backends: {default: l4}, rateLimits: [r]"), want: "Site/ldap: spec.rateLimits[0]: RateLimit/r tells clients apart by what requests say"},
		"local range":          {text: "{kind: LoadBalancer, metadata: {name: lb2}, spec: {group: edge, zone: az1, localRanges: {198.51.100.0/28: 127.0.9.0/28}}}", want: "LoadBalancer/lb2: spec.localRanges[198.51.100.0/28]: is no part of the ranges of group edge"},
		"socket of a role":     {text: "{kind: Pool, metadata: {name: side, role: web}, spec: {members: [{name: a, socket: x}]}}", want: "Pool/side: spec.members[0].socket: sockets of the load balancers' machines are for pools without a role"},
		"local range twice":    {text: "{kind: LoadBalancer, metadata: {name: lb2}, spec: {group: edge, zone: az1, localRanges: {203.0.113.0/29: 203.0.113.8/29}}}", want: "LoadBalancer/lb2: spec.localRanges[203.0.113.0/29]: 203.0.113.8/29 overlaps 203.0.113.0/28 of group edge"},
		"local port":           {text: site("a", "hostnames: [a.example.com], addresses: [vip1], listeners: [{port: 8080}], backends: {default: p}"), want: "Site/a: spec.listeners: ports 80 and 8080 of group edge would both be bound at port 8080 of LoadBalancer/lb1"},
		"local port asked":     {text: "{kind: LoadBalancer, metadata: {name: lb2}, spec: {group: edge, zone: az1, localPorts: {80: 389}}}", want: "LoadBalancer/lb2: spec.localPorts: ports 80 and 389 of group edge"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var deleted []weir.Ref
			if kind, name, ok := strings.Cut(c.del, "/"); ok {
				deleted = append(deleted, weir.Ref{Kind: kind, Name: name})
			}
			problems := write(t, set.Copy(), c.text, deleted...)
			if c.want == "" {
				if len(problems) > 0 {
					t.Errorf("refused: %v", problems)
				}
				return
			}
			if !slices.ContainsFunc(problems, func(p weir.Problem) bool { return strings.HasPrefix(p.String(), c.want) }) {
				t.Errorf("got %v\nwant %q", problems, c.want)
			}
		})
	}
}

func TestCheckFollowsWhatMovesAndChanges(t *testing.T) {
	t.Parallel()
	set := weir.NewSet(decode(t, ground)...)
	set.Put(decode(t, `{kind: Site, metadata: {name: a, role: web}, spec: {hostnames: [www.example.com], addresses: [vip3], listeners: [{port: 80}], backends: {default: p}}}`)[0])
	both := `{kind: IPAddress, metadata: {name: vip3}, spec: {address: 203.0.113.3, groups: [edge, lab]}}`
	if got := fmt.Sprint(write(t, set, both)); !strings.Contains(got, `IPAddress/vip3: spec.groups: Site/a: "www.example.com" belongs to Site/www in group edge`) {
		t.Errorf("an address that moves into a conflict: %s", got)
	}
	if got := write(t, set, both, weir.Ref{Kind: "Site", Name: "www"}); len(got) > 0 {
		t.Errorf("the conflict goes in the same change: %v", got)
	}
	shifted := set.Copy()
	shifted.Put(decode(t, `{kind: ZoneShift, metadata: {name: s, role: web}, spec: {sites: [any], zone: az1, reason: x, expiresAt: 2030-01-01T00:00:00Z}}`)[0])
	freed := `{kind: Site, metadata: {name: any}, spec: {hostnames: ["*"], addresses: [vip2], listeners: [{port: 80}], backends: {default: p}}}`
	if got := fmt.Sprint(write(t, shifted, freed)); !strings.Contains(got, "Site/any: metadata.role: ZoneShift/s refers to it and would no longer shift it; end it in the same change") {
		t.Errorf("a shifted site that changes hands: %s", got)
	}
	if got := write(t, shifted, freed, weir.Ref{Kind: "ZoneShift", Name: "s"}); len(got) > 0 {
		t.Errorf("the shift ends in the same change: %v", got)
	}
	set.Put(decode(t, "{kind: Tuning, metadata: {name: u}, spec: {ports: [{port: 80, mode: tcp}]}}")[0])
	chosen := "{kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [203.0.113.0/28], tuning: u}}"
	if got := fmt.Sprint(write(t, set, chosen)); !strings.Contains(got, "LoadBalancerGroup/edge: spec.tuning: Tuning/u: port 80 of group edge speaks http") {
		t.Errorf("a group that takes another tuning: %s", got)
	}
	unshared := `{kind: ErrorPage, metadata: {name: page, role: media}, spec: {body: x}}`
	if got := fmt.Sprint(write(t, set, unshared)); !strings.Contains(got, "ErrorPage/page: metadata.role: Site/www refers to it") {
		t.Errorf("a page that changes hands: %s", got)
	}
	shared := `{kind: Server, metadata: {name: s2, role: media, shareWith: [web]}, spec: {address: 10.0.0.2, zone: az1, ports: {http: 80}}}
---
{kind: Pool, metadata: {name: q, role: web}, spec: {selector: {role: media}, port: http}}`
	if got := write(t, set, shared); len(got) > 0 {
		t.Errorf("a pool over shared servers: %v", got)
	}
}

func TestCheckBoundsARole(t *testing.T) {
	t.Parallel()
	set := weir.NewSet(decode(t, ground)...)
	set.Put(decode(t, `{kind: Role, metadata: {name: media}, spec: {hostnames: ["*.media.example"], groups: [lab], quotas: {Server: 2}}}`)[0])
	server := func(i int) string {
		return fmt.Sprintf("{kind: Server, metadata: {name: m%d, role: media}, spec: {address: 10.0.1.%d, zone: az1}}\n---\n", i, i)
	}
	if got := write(t, set, server(1)); len(got) > 0 {
		t.Errorf("the second of two servers: %v", got)
	}
	if got := fmt.Sprint(write(t, set, server(1)+server(2)+server(3))); !strings.Contains(got, "role media would have 4 objects of kind Server; its quota is 2") || strings.Count(got, "quota") != 1 {
		t.Errorf("too many servers: %s", got)
	}
	for hostname, ok := range map[string]bool{"a.media.example": true, "*.b.media.example": true, "*.media.example": true, "media.example": false, "amedia.example": false, `"*"`: false} {
		got := write(t, set, fmt.Sprintf("{kind: Site, metadata: {name: a, role: media}, spec: {hostnames: [%q], addresses: [vip3], listeners: [{port: 80, redirect: https}, {port: 443, tls: {certificates: [none]}}], backends: {default: p}}}", strings.Trim(hostname, `"`)))
		refused := strings.Contains(fmt.Sprint(got), "may not claim")
		if refused == ok {
			t.Errorf("host name %s: %v", hostname, got)
		}
	}
	got := fmt.Sprint(write(t, set, `{kind: IPAddress, metadata: {name: m, role: media}, spec: {address: 203.0.113.9, groups: [edge]}}`))
	if !strings.Contains(got, "IPAddress/m: spec.groups: role media may not use group edge, only lab") {
		t.Errorf("a group of others: %s", got)
	}
}

func TestCheckBoundsTheZonesOfAGroup(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range weir.MaxZones + 1 {
		fmt.Fprintf(&text, "- {kind: Zone, metadata: {name: z%d}, spec: {}}\n", i)
		if i < weir.MaxZones {
			fmt.Fprintf(&text, "- {kind: LoadBalancer, metadata: {name: lb%d}, spec: {group: g, zone: z%d}}\n", i, i)
		}
	}
	text.WriteString("- {kind: LoadBalancerGroup, metadata: {name: g}, spec: {ranges: [192.0.2.0/24]}}\n")
	if got := write(t, weir.NewSet(), text.String()); len(got) > 0 {
		t.Fatalf("as many zones as there may be: %v", got)
	}
	set := weir.NewSet(decode(t, text.String())...)
	got := fmt.Sprint(write(t, set, `{kind: IPAddress, metadata: {name: a}, spec: {address: 192.0.2.1, homeZone: z8, groups: [g]}}`))
	if !strings.Contains(got, "IPAddress/a: group g would span 9 zones") {
		t.Errorf("one more: %s", got)
	}
}

func TestCheckWantsKeys(t *testing.T) {
	t.Parallel()
	set := weir.NewSet(decode(t, ground)...)
	put := func(key bool) *weir.Object {
		o := &weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: "c"}, Spec: &weir.Certificate{Chain: weir.NewChain("chain")}}
		if key {
			o.Spec.(*weir.Certificate).KeyRef = &weir.SealedRef{Generation: 1, Fingerprint: "f"}
		}
		return o
	}
	users := `
- {kind: Site, metadata: {name: s, role: web}, spec: {hostnames: [s.example.com], addresses: [vip1], listeners: [{port: 443, tls: {certificates: [c]}}], backends: {default: q}}}
- {kind: Pool, metadata: {name: q, role: web}, spec: {selector: {role: web}, port: http, tls: {sni: a.example.com, ca: c, clientCertificate: c}}}`
	set.Put(put(false))
	got := fmt.Sprint(write(t, set, users))
	for _, want := range []string{"Site/s: spec.listeners[0].tls.certificates[0]: Certificate/c has no key", "Pool/q: spec.tls.clientCertificate: Certificate/c has no key"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %q", got, want)
		}
	}
	set.Put(put(true))
	if got := write(t, set, users); len(got) > 0 {
		t.Errorf("with a key: %v", got)
	}
	for _, o := range decode(t, users) {
		set.Put(o)
	}
	after := set.Copy()
	after.Put(put(false))
	if got := fmt.Sprint(weir.Check(set, after, []weir.Ref{{Kind: "Certificate", Name: "c"}})); !strings.Contains(got, "Certificate/c: spec.key: is required: Pool/q and Site/s show the certificate") {
		t.Errorf("the key is taken away: %s", got)
	}
	believing := `
- {kind: Site, metadata: {name: s, role: web}, spec: {hostnames: [s.example.com], addresses: [vip1], listeners: [{port: 443, tls: {certificates: [own]}}], egress: {environments: [prod], clientAuthority: c}}}
- {kind: Issuer, metadata: {name: i}, spec: {type: acme, acme: {directory: "https://ca.example.com/dir", authority: c}}}
- {kind: Pool, metadata: {name: q, role: web}, spec: {selector: {role: web}, port: http, tls: {sni: a.example.com, ca: c}}}`
	for _, o := range decode(t, believing) {
		set.Put(o)
	}
	after = set.Copy()
	after.Put(put(false))
	if got := fmt.Sprint(weir.Check(set, after, []weir.Ref{{Kind: "Certificate", Name: "c"}})); strings.Contains(got, "spec.key") {
		t.Errorf("an authority is replaced: %s", got)
	}
}

// TestCheckingAChangeIsCheckingAll makes attempts of which many are refused: what looking only at the objects
// written says must be what looking at everything says.
func TestCheckingAChangeIsCheckingAll(t *testing.T) {
	t.Parallel()
	accepted, refused := 0, 0
	for seed := range uint64(8) {
		o := weirtest.Options{Sealed: seed%2 == 0, Faults: true, Zoned: true, Egress: true}
		set := weirtest.RandomObjects(seed, o)
		rng := rand.New(rand.NewPCG(seed, 3))
		for range 250 {
			change := weirtest.RandomAttempt(rng, set, o)
			after := weirtest.Apply(set, change)
			var written, all []weir.Ref
			for _, w := range change {
				written = append(written, w.Ref())
			}
			for obj := range after.Every() {
				all = append(all, obj.Ref())
			}
			part, whole := weir.Check(set, after, written), lasting(weir.Check(weir.NewSet(), after, all))
			// What was there before may only be wrong in ways that nobody checks again.
			if (len(lasting(part)) == 0) != (len(whole) == 0) {
				t.Fatalf("seed %d, %v:\nthe change %v\neverything %v", seed, written, part, whole)
			}
			if again := weir.Check(set, after, written); !slices.Equal(part, again) {
				t.Fatalf("seed %d, %v: %v, and then %v", seed, written, part, again)
			}
			if len(part) > 0 {
				refused++
				continue
			}
			accepted++
			set = after
		}
	}
	if accepted < 200 || refused < 200 {
		t.Errorf("%d accepted and %d refused; the attempts are too tame or too wild", accepted, refused)
	}
}

// lasting leaves out the rules that hold when an object is written and may be broken by others later: servers
// come and go under a selector or an override.
func lasting(list []weir.Problem) []weir.Problem {
	return slices.DeleteFunc(slices.Clone(list), func(p weir.Problem) bool {
		return strings.HasPrefix(p.Object, "Override/") && p.Path == "spec.server" || p.Path == "spec.selector.role" && strings.Contains(p.Message, "is shared with")
	})
}

// BenchmarkCheckOneServer is a change of one server of 100,000 in 1,000 pools.
func BenchmarkCheckOneServer(b *testing.B) {
	set := weir.NewSet(decode(b, ground)...)
	for i := range 100_000 {
		set.Put(&weir.Object{Kind: "Server", Metadata: weir.Metadata{Name: fmt.Sprintf("web-%06d", i), Role: "web"}, Spec: &weir.Server{
			Address: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Zone: "az1", Ports: map[string]weir.Port{"http": 80}, Weight: new(100),
		}})
	}
	for i := range 1000 {
		set.Put(decode(b, fmt.Sprintf("{kind: Pool, metadata: {name: pool-%d, role: web}, spec: {selector: {role: web, clusters: [c%d]}, port: http}}", i, i))[0])
	}
	written := []weir.Ref{{Kind: "Server", Name: "web-050000"}}
	spec := *set.Get(written[0]).Spec.(*weir.Server)
	for b.Loop() {
		after := set.Copy()
		changed := spec
		changed.Weight = new(7)
		after.Put(&weir.Object{Kind: "Server", Metadata: set.Get(written[0]).Metadata, Spec: &changed})
		if problems := weir.Check(set, after, written); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}
