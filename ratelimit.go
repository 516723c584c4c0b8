package weir

import (
	"slices"
	"strings"
	"time"
)

// RateLimit bounds what one client may ask of a site that names it. Each site and each load balancer counts for itself,
// and what is refused counts as well: who goes on asking stays limited. At most four stand at a site.
type RateLimit struct {
	// Count says what is counted: requests; errors, which are answers of servers with a status 4xx; connections, each
	// when it first asks something of the site; bytesOut to clients and bytesIn from them; or concurrent, which are
	// requests being answered, of a tcp site connections. A tcp site knows connections and concurrent alone.
	Count string `json:"count"`
	// Period is the time that is looked back on; concurrent has none.
	Period Duration `json:"period,omitempty"`
	// Key says who is one client; its address when left out.
	Key *RateLimitKey `json:"key,omitempty"`
	// Soft answers with a page, and can't stand at a tcp site.
	Soft *SoftLimit `json:"soft,omitempty"`
	// Hard closes the connection without an answer.
	Hard *HardLimit `json:"hard,omitempty"`
	// Schedules are other levels at certain times: of several that hold the first counts. At most four.
	Schedules []RateLimitSchedule `json:"schedules,omitempty"`
	// Exempt names AccessLists; clients in one of them are neither counted nor limited.
	Exempt []string `json:"exempt,omitempty"`
	// Mode is enforce or shadow, which counts who would be limited and limits nobody; enforce when left out.
	Mode string `json:"mode,omitempty"`
	// Scope is loadBalancer, each counts for itself. A scope of the group is refused: load balancers that share tables
	// overwrite each other's counts instead of adding them up.
	Scope string `json:"scope,omitempty"`
}

// RateLimitKey says who is one client: at most one of header, cookie and path. Requests without the header or cookie are
// told apart by the client's address. A client that a trusted proxy tells of in X-Forwarded-For is known by that address.
type RateLimitKey struct {
	// Header is the name of a header whose value is the key. A name that is new to the group is a reload.
	Header string `json:"header,omitempty"`
	// Cookie is the name of a cookie whose value is the key. A name that is new to the group is a reload.
	Cookie string `json:"cookie,omitempty"`
	// Path counts for each path by itself, of all clients together.
	Path bool `json:"path,omitempty"`
	// IPv4 and IPv6 are how many bits of an address tell clients apart, a multiple of 4; 32 and 64 when left out.
	IPv4 int `json:"ipv4,omitempty"`
	IPv6 int `json:"ipv6,omitempty"`
}

// SoftLimit is the level above which a client gets a page.
type SoftLimit struct {
	// Above is how much is still fine.
	Above int `json:"above"`
	// Status is 429 or 503; 429 when left out.
	Status Status3 `json:"status,omitempty"`
	// ErrorPage names what is shown; the site's own page for the status when left out.
	ErrorPage string `json:"errorPage,omitempty"`
}

// HardLimit is the level above which a client gets nothing.
type HardLimit struct {
	// Above is how much is still fine.
	Above int `json:"above"`
}

// RateLimitSchedule says what is fine while a Schedule holds. A level that it leaves out stays as it is.
type RateLimitSchedule struct {
	// Schedule names the window of time.
	Schedule string `json:"schedule"`
	// Soft is the soft level then; the limit has one at other times too.
	Soft *LimitLevel `json:"soft,omitempty"`
	// Hard is the hard level then; the limit has one at other times too.
	Hard *LimitLevel `json:"hard,omitempty"`
}

// LimitLevel is a level at other times.
type LimitLevel struct {
	// Above is how much is still fine.
	Above int `json:"above"`
}

// What a RateLimit can count.
const (
	CountRequests    = "requests"
	CountErrors      = "errors"
	CountConnections = "connections"
	CountBytesOut    = "bytesOut"
	CountBytesIn     = "bytesIn"
	CountConcurrent  = "concurrent"
)

// The modes of a RateLimit.
const (
	LimitEnforce = "enforce"
	LimitShadow  = "shadow"
)

// MaxRateLimits is how many RateLimits a site can have: the rules in haproxy.cfg have that many places.
const MaxRateLimits = 4

// mostCounted is what HAProxy's counters hold, which have 32 bits.
const mostCounted = 4_000_000_000

// UsualPeriods are those that a group is ready for when its Tuning has rateLimits.
var UsualPeriods = []Duration{Duration(time.Second), Duration(10 * time.Second), Duration(time.Minute), Duration(10 * time.Minute), Duration(time.Hour)}

// Normalize fills the defaults.
func (l *RateLimit) Normalize() {
	if l.Key == nil {
		l.Key = &RateLimitKey{}
	}
	l.Key.Header = strings.ToLower(l.Key.Header)
	setDefault(&l.Key.IPv4, 32)
	setDefault(&l.Key.IPv6, 64)
	if l.Soft != nil {
		setDefault(&l.Soft.Status, 429)
	}
	setDefault(&l.Mode, LimitEnforce)
	setDefault(&l.Scope, "loadBalancer")
}

// Validate checks everything that a limit says by itself.
func (l *RateLimit) Validate(p *Problems) {
	oneOf(p, "count", l.Count, CountRequests, CountErrors, CountConnections, CountBytesOut, CountBytesIn, CountConcurrent)
	switch {
	case l.Count != CountConcurrent:
		l.Period.within(p, "period", time.Second, 24*time.Hour)
		if l.Period.D()%time.Second != 0 {
			p.Add("period", "%s must be whole seconds", l.Period)
		}
	case l.Period != 0:
		p.Add("period", "what is concurrent is counted at the moment; leave the period out")
	}
	l.Key.validate(p)
	if l.Soft == nil && l.Hard == nil {
		p.Add("soft", "needs soft, hard or both: the levels from which clients are limited")
	}
	if s := l.Soft; s != nil {
		between(p, "soft.above", s.Above, 0, mostCounted)
		if s.Status != 429 && s.Status != 503 {
			p.Add("soft.status", "%d must be 429 or 503", int(s.Status))
		}
	}
	if h := l.Hard; h != nil {
		between(p, "hard.above", h.Above, 0, mostCounted)
		if l.Soft != nil && h.Above <= l.Soft.Above {
			p.Add("hard.above", "%d must be more than the %d of soft, whose page nobody would see", h.Above, l.Soft.Above)
		}
	}
	l.validateSchedules(p)
	names(p, "exempt", l.Exempt)
	oneOf(p, "mode", l.Mode, LimitEnforce, LimitShadow)
	if l.Scope == "group" {
		p.Add("scope", "load balancers overwrite each other's counts instead of adding them up, so that a limit of the group would hold for none of them; leave it out, and divide the limit by how many load balancers serve the site")
	} else {
		oneOf(p, "scope", l.Scope, "loadBalancer")
	}
}

// maxLimitSchedules is how many other levels a limit can have.
const maxLimitSchedules = 4

func (l *RateLimit) validateSchedules(p *Problems) {
	if len(l.Schedules) > maxLimitSchedules {
		p.Add("schedules", "holds %d; at most %d are allowed", len(l.Schedules), maxLimitSchedules)
	}
	seen := map[string]bool{}
	for i, s := range l.Schedules {
		path := index("schedules", i)
		required(p, path+".schedule", s.Schedule)
		if seen[s.Schedule] {
			p.Add(path+".schedule", "%q is there already; the first counts", clip(s.Schedule))
		}
		seen[s.Schedule] = true
		if s.Soft == nil && s.Hard == nil {
			p.Add(path, "needs soft, hard or both: the levels at that time")
		}
		soft, hard := -1, mostCounted+1
		if l.Soft != nil {
			soft = l.Soft.Above
		}
		if l.Hard != nil {
			hard = l.Hard.Above
		}
		for _, level := range []struct {
			path string
			at   *LimitLevel
			has  bool
			to   *int
		}{{"soft", s.Soft, l.Soft != nil, &soft}, {"hard", s.Hard, l.Hard != nil, &hard}} {
			if level.at == nil {
				continue
			}
			if !level.has {
				p.Add(path+"."+level.path, "is a level that the limit does not have at other times; say spec.%s too", level.path)
			}
			between(p, path+"."+level.path+".above", level.at.Above, 0, mostCounted)
			*level.to = level.at.Above
		}
		if l.Soft != nil && l.Hard != nil && hard <= soft {
			p.Add(path, "the hard level is then %d and must be more than the %d of soft, whose page nobody would see", hard, soft)
		}
	}
}

func (k *RateLimitKey) validate(p *Problems) {
	set := 0
	for _, name := range []struct{ path, value string }{{"key.header", k.Header}, {"key.cookie", k.Cookie}} {
		if name.value != "" {
			set++
			checkToken(p, name.path, name.value)
		}
	}
	if k.Path {
		set++
	}
	if set > 1 {
		p.Add("key", "needs at most one of header, cookie and path; make another RateLimit for the other")
	}
	for _, bits := range []struct {
		path    string
		n, most int
	}{{"key.ipv4", k.IPv4, 32}, {"key.ipv6", k.IPv6, 128}} {
		if bits.n < 4 || bits.n > bits.most || bits.n%4 != 0 {
			p.Add(bits.path, "%d must be a multiple of 4, from 4 to %d", bits.n, bits.most)
		}
	}
}

// ForConnections says why a limit can't stand at a site that sees connections and no requests, "" when it can.
func (l *RateLimit) ForConnections() string {
	switch {
	case l.Count != CountConnections && l.Count != CountConcurrent:
		return "counts " + l.Count + ", and the site sees connections alone; it can have limits that count " + CountConnections + " or " + CountConcurrent
	case l.Key.Header != "" || l.Key.Cookie != "" || l.Key.Path:
		return "tells clients apart by what requests say, and the site sees connections alone; it can have limits by the client's address"
	case l.Soft != nil:
		return "has a soft level, and the site can't show pages; it can have limits that are hard alone"
	}
	return ""
}

// References are the page, the schedules and the exempt lists.
func (l *RateLimit) References() []Reference {
	var list []Reference
	if l.Soft != nil {
		list = optional(list, "soft.errorPage", "ErrorPage", l.Soft.ErrorPage)
	}
	for i, s := range l.Schedules {
		list = optional(list, index("schedules", i)+".schedule", "Schedule", s.Schedule)
	}
	return each(list, "exempt", "AccessList", l.Exempt)
}

// RateLimitTables is how much room the counters of RateLimits have in each HAProxy of a group, and what it is ready for.
// Each rule costs a little of every request, so that there are rules only for what is counted, over which times, of how many
// limits a site, unless the group is to be ready for more.
type RateLimitTables struct {
	// Entries is how many clients of all sites each period has room for; when it is full, who was silent longest is
	// forgotten. 100000 when left out; a full table takes about 320 bytes an entry, 32 MB as it is.
	Entries int `json:"entries,omitempty"`
	// PerSite is for how many limits of each site there are rules before somebody asks; 1 when left out.
	PerSite int `json:"perSite,omitempty"`
	// Periods are those that limits can have beside 1s, 10s, 1m, 10m and 1h without a reload.
	Periods []Duration `json:"periods,omitempty"`
}

func (t *RateLimitTables) normalize() {
	if t != nil {
		setDefault(&t.Entries, DefaultRateLimitEntries)
		setDefault(&t.PerSite, 1)
	}
}

// DefaultRateLimitEntries is the room of each table of a group that doesn't say it.
const DefaultRateLimitEntries = 100_000

func (t *RateLimitTables) validate(p *Problems) {
	if t == nil {
		return
	}
	between(p, "rateLimits.entries", t.Entries, 1000, 100_000_000)
	between(p, "rateLimits.perSite", t.PerSite, 1, MaxRateLimits)
	if len(t.Periods) > 8 {
		p.Add("rateLimits.periods", "holds %d periods; at most 8 are allowed", len(t.Periods))
	}
	for i, d := range t.Periods {
		path := index("rateLimits.periods", i)
		d.within(p, path, time.Second, 24*time.Hour)
		if d.D()%time.Second != 0 {
			p.Add(path, "%s must be whole seconds", d)
		}
		if slices.Contains(UsualPeriods, d) || slices.Contains(t.Periods[:i], d) {
			p.Add(path, "%s is there already", d)
		}
	}
}
