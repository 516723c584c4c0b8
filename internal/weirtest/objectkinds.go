package weirtest

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir"
)

// make gives an object with random fields; what it refers to is there, but the rules may still refuse it.
func (w *world) make(kind, name string) *weir.Object {
	// The role goes with the name, mostly, so that what refers to the object can stay.
	h := fnv.New32a()
	h.Write([]byte(name))
	role := roles[int(h.Sum32()>>8)%len(roles)]
	if kind == "IPAddress" || kind == "ErrorPage" || kind == "AccessList" || kind == "Certificate" {
		role = ""
	}
	o := object(kind, name, role, nil)
	if role != "" && w.some(3) {
		o.Metadata.ShareWith = []string{roles[1+w.rng.IntN(2)]}
	}
	switch kind {
	case "IPAddress":
		o.Spec = w.ipAddress(name)
	case "Certificate":
		o.Spec = w.certificate(name)
	case "ErrorPage":
		body := fmt.Sprintf("<h1>%d of %s</h1>\n\"it's 100%% %%[src] #;\"", w.rng.IntN(1000), name)
		if w.Faults && w.some(6) {
			body += strings.Repeat("long ", 4000)
		}
		o.Spec = &weir.ErrorPage{Body: body, ContentType: pick(w.rng, "", "text/plain", "application/json")}
	case "AccessList":
		spec := &weir.AccessList{}
		worded := strings.HasSuffix(name, "1")
		for range max(w.rng.IntN(4), map[bool]int{true: 1}[worded]) { // with strings alone no logic could look clients up in it
			spec.Networks = append(spec.Networks, netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(w.rng.IntN(256)), 0, 0}), 16+w.rng.IntN(8)).Masked())
		}
		slices.SortFunc(spec.Networks, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
		spec.Networks = slices.Compact(spec.Networks)
		if worded { // always, so that routes can hold values against it
			spec.Strings = &weir.ListStrings{Match: pick(w.rng, "exact", "prefix", "suffix", "contains"), IgnoreCase: w.some(2), Entries: []string{"a", pick(w.rng, "b", "a b", "(c", "d\"'\\;%[src]")}}
		}
		o.Spec = spec
	case "Split":
		o.Spec = w.split(role)
	case "Schedule":
		o.Spec = w.schedule()
	case "RateLimit":
		o.Spec = w.rateLimit(role)
	case "Logic":
		o.Spec = w.logic(role)
	case "Map":
		o.Spec = w.mapping()
	case "Server":
		o.Spec = w.server()
	case "Pool":
		o.Spec = w.pool(role)
	case "Site":
		o.Spec = w.site(name, role)
	case "Route":
		o.Spec = w.route(name, role)
	case "EgressClient":
		o.Spec = w.egressClient()
	case "Partner":
		o.Spec = w.partner(role)
	case "SLA":
		o.Spec = w.sla()
	case "EgressRule":
		o.Spec = w.egressRule(role)
	case "Override":
		o.Spec = w.override(role)
	case "ZoneShift":
		o.Spec = w.shift(role)
	}
	return o
}

func (w *world) tuning() *weir.Tuning {
	// With room for counters the first limit is no reload.
	t := &weir.Tuning{RateLimits: &weir.RateLimitTables{Entries: 1000}, MaxConnections: 1000 + w.rng.IntN(3)*500, SpreadChecks: new(w.rng.IntN(10))}
	for _, p := range w.Ports {
		if w.some(2) {
			t.Ports = append(t.Ports, p)
		}
	}
	if page := w.anyName("ErrorPage", ""); page != "" && w.some(2) {
		t.ErrorPages = map[weir.Status3]string{503: page}
	}
	if w.some(2) {
		t.Nameservers = []string{pick(w.rng, w.Origins...).Addr().String()}
	}
	return t
}

func (w *world) ipAddress(name string) *weir.IPAddress {
	a := &weir.IPAddress{}
	if !w.some(4) {
		a.HomeZone = zoneName(w.rng.IntN(w.Zones))
	}
	first := w.rng.IntN(w.Groups)
	a.Groups = []string{groupName(first)}
	if second := (first + 1) % w.Groups; second != first && len(w.Ranges) == 1 && w.some(3) {
		a.Groups = append(a.Groups, groupName(second))
	}
	// The number in the name says which address of the range it is.
	var n int
	_, _ = fmt.Sscanf(name, "vip-%d", &n)
	a.Address = w.Ranges[first%len(w.Ranges)].Addr()
	for range n + 1 {
		a.Address = a.Address.Next()
	}
	return a
}

// rateLimit is one that nobody reaches, so that it is in no walk's way.
func (w *world) rateLimit(role string) *weir.RateLimit {
	l := &weir.RateLimit{
		Count:  pick(w.rng, weir.CountRequests, weir.CountErrors, weir.CountConnections, weir.CountConcurrent),
		Period: pick(w.rng, weir.UsualPeriods...), Key: &weir.RateLimitKey{IPv4: 4 * (1 + w.rng.IntN(8)), Path: w.some(4)},
		Hard: &weir.HardLimit{Above: 2_000_000 + w.rng.IntN(1000)}, Mode: pick(w.rng, "", weir.LimitShadow),
	}
	if l.Count == weir.CountConcurrent {
		l.Period = 0
	}
	if w.some(2) {
		l.Soft = &weir.SoftLimit{Above: 1_000_000 + w.rng.IntN(1000), Status: pick[weir.Status3](w.rng, 429, 503), ErrorPage: w.anyName("ErrorPage", role)}
	}
	if list := w.anyName("AccessList", role); list != "" && w.some(2) {
		l.Exempt = []string{list}
	}
	return l
}

func (w *world) mapping() *weir.Map {
	m := &weir.Map{Match: pick(w.rng, "exact", "prefix", "regex")}
	for i := range w.rng.IntN(5) {
		key := fmt.Sprintf("/m%d/x", i)
		if m.Match == "regex" {
			key = fmt.Sprintf(`/r%d/[a-z]+\.(png|jpg)`, i)
		}
		value := "default"
		if w.Faults && w.some(4) {
			value = pick(w.rng, append([]string{"https://www.example.com/a b?c=d; #e"}, backendNames...)...)
		}
		m.Entries = append(m.Entries, weir.MapEntry{Key: key, Value: value})
	}
	return m
}

var clusters = []string{"blue", "green", "red"}

func (w *world) server() *weir.Server {
	at := pick(w.rng, w.Origins...)
	s := &weir.Server{Address: at.Addr(), Zone: zoneName(w.rng.IntN(w.Zones)), Ports: map[string]weir.Port{"http": weir.Port(at.Port())}}
	for _, c := range clusters {
		if w.some(2) {
			s.Clusters = append(s.Clusters, c)
		}
	}
	if w.some(3) {
		s.Weight = new(w.rng.IntN(257))
	}
	if w.Faults && w.some(12) {
		s.Ports = map[string]weir.Port{"admin": 9}
	}
	if w.Registered {
		s.Registration = w.registration()
	}
	return s
}

// registration is healthy half of the time, and at times there is none.
func (w *world) registration() *weir.Registration {
	const h = weir.RegistrationHealthy
	state := pick(w.rng, "", h, h, h, weir.RegistrationDraining, weir.RegistrationWithdrawn, weir.RegistrationStale, weir.RegistrationStale)
	if state == "" {
		return nil
	}
	return &weir.Registration{State: state, Since: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), By: "registration"}
}

// admission is one that the rules allow beside the pool's check.
func (w *world) admission(p *weir.Pool) {
	p.Admission = pick(w.rng, "", weir.AdmissionNone)
	if p.Selector != nil && !w.some(3) {
		p.Admission = weir.AdmissionRegistration
		if p.HealthCheck.Type != "none" {
			p.Admission = pick(w.rng, weir.AdmissionRegistration, weir.AdmissionBoth, weir.AdmissionBoth)
		}
		p.Floor = &weir.Floor{Percent: new(w.rng.IntN(101)), Count: 1 + w.rng.IntN(3)}
	}
}

func (w *world) pool(role string) *weir.Pool {
	p := &weir.Pool{Mode: pick(w.rng, "http", "http", "http", "tcp"), Port: "http"}
	if !w.some(5) {
		p.Selector = &weir.Selector{Role: role}
		if role == "" {
			p.Selector.Role = roles[1+w.rng.IntN(2)]
		}
		if !w.some(3) {
			p.Selector.Zone = zoneName(w.rng.IntN(w.Zones))
		}
		for _, c := range clusters {
			if w.some(3) {
				p.Selector.Clusters = append(p.Selector.Clusters, c)
			}
		}
	}
	for i := range w.rng.IntN(3) {
		at := pick(w.rng, w.Origins...)
		name := fmt.Sprintf("static-%d", i)
		if w.Faults && w.some(8) {
			name = fmt.Sprintf("srv-%02d", w.rng.IntN(w.Servers))
		}
		p.Members = append(p.Members, weir.Member{Name: name, Address: at.Addr(), Port: weir.Port(at.Port()), Weight: new(w.rng.IntN(257))})
	}
	if len(p.Members) == 2 && p.Members[0].Name == p.Members[1].Name {
		p.Members = p.Members[:1]
	}
	p.HealthCheck = w.healthCheck(p.Mode)
	if w.Registered {
		w.admission(p)
	}
	p.Balance = pick(w.rng, "roundrobin", "roundrobin", "leastconn", "random", "source")
	if p.Mode == "http" {
		p.Logic = w.logics(role)
		if w.some(6) {
			p.Compression = &weir.Compression{MinSize: pick(w.rng, 0, 200)}
		}
		w.httpPool(p)
	}
	if w.some(4) {
		p.MaxConnections = &weir.MaxConnections{PerServer: 10 + w.rng.IntN(100)}
	}
	if w.some(6) {
		p.SlowStart = weir.Duration(time.Duration(1+w.rng.IntN(3)) * time.Second)
	}
	if w.some(4) {
		p.ServerTimeout = weir.Duration(time.Duration(1+w.rng.IntN(30)) * time.Second)
	}
	if !w.Plain {
		w.outward(p)
	}
	return p
}

func (w *world) healthCheck(mode string) *weir.HealthCheck {
	h := &weir.HealthCheck{Type: pick(w.rng, "http", "http", "tcp", "none")}
	if mode == "tcp" && h.Type == "http" {
		h.Type = "tcp"
		if !w.Plain {
			h.Type = pick(w.rng, "tcp", "tcp", "ldap", "smtp", "postgresql", "ssh", "redis")
		}
	}
	switch h.Type {
	case "smtp":
		h.Host = pick(w.rng, "", "lb.example.com")
	case "postgresql":
		h.User = pick(w.rng, "weir", "Check_1")
	}
	if h.Type != "none" {
		h.Interval = weir.Duration(time.Duration(1+w.rng.IntN(10)) * 200 * time.Millisecond)
		h.Rise, h.Fall = 1+w.rng.IntN(3), 1+w.rng.IntN(3)
	}
	if h.Type == "http" {
		h.Method = pick(w.rng, "HEAD", "GET", "OPTIONS")
		h.Path = pick(w.rng, "/", "/ping", "/health?deep=1", "/a%20b")
		h.Host = pick(w.rng, "", "check.example.com", "check.example.com:8080")
		h.Expect = pick(w.rng, "", "200", "200-299", "200,204,300-399")
		if h.Method == "GET" && w.some(4) {
			h.Body = "ok"
		}
	}
	return h
}

func (w *world) httpPool(p *weir.Pool) {
	if w.some(3) {
		p.Balance = pick(w.rng, "uri", "header")
	}
	if p.Balance == "header" {
		p.BalanceHeader = pick(w.rng, "X-Tenant", "X-User")
	}
	if w.some(3) {
		p.Persistence = &weir.Persistence{Cookie: pick(w.rng, "SRV", "LB")}
	}
	switch w.rng.IntN(4) {
	case 0:
		p.Queue = &weir.Queue{None: true}
	case 1:
		p.Queue = &weir.Queue{Timeout: weir.Duration(time.Duration(1+w.rng.IntN(60)) * time.Second)}
	}
}

func (w *world) outward(p *weir.Pool) {
	if p.Mode == "http" && w.some(5) {
		p.Protocol = pick(w.rng, "h1", "h2")
	}
	if w.some(5) {
		p.SendProxy = pick(w.rng, "v1", "v2")
	}
	if w.some(5) {
		p.TLS = &weir.PoolTLS{Verify: pick(w.rng, "ca", "none"), SNI: "origin.example.com", MinVersion: pick(w.rng, "", "TLSv1.3")}
		if p.TLS.Verify == "ca" {
			p.TLS.CA = w.anyName("Certificate", "")
		}
		if p.Mode == "http" && w.some(3) {
			p.Protocol = "auto"
		}
		if w.some(2) {
			p.TLS.ClientCertificate = w.anyName("Certificate", "")
		}
	}
}

func (w *world) override(role string) *weir.Override {
	o := &weir.Override{Server: fmt.Sprintf("srv-%02d", w.rng.IntN(w.Servers)), Reason: "it's broken", ExpiresAt: w.Expires}
	if w.some(4) {
		o.Server = fmt.Sprintf("static-%d", w.rng.IntN(2))
	}
	if w.some(3) {
		o.Pool = w.anyName("Pool", role)
	}
	o.State = pick(w.rng, "", weir.StateReady, weir.StateDrain, weir.StateMaintenance)
	if o.State == "" || w.some(3) {
		o.Weight = new(w.rng.IntN(257))
	}
	return o
}
