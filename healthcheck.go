package weir

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// HealthCheck says how a server shows that it can take traffic.
type HealthCheck struct {
	// Type is http, tcp (a connection), none, or what a tcp pool's servers speak: ldap (an anonymous bind), smtp
	// (EHLO and QUIT), postgresql (the first message of a session), ssh (the greeting; sshd must not count it against the
	// load balancers: PerSourcePenaltyExemptList) or redis (PING).
	Type string `json:"type,omitempty"`
	// Method is HEAD, GET or OPTIONS.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Host is the Host header sent; with smtp the name said in EHLO.
	Host string `json:"host,omitempty"`
	// Expect is the good statuses: "200", "200-299", "200-399" and the like, ranges within 100 to 599.
	Expect string `json:"expect,omitempty"`
	// Body, when set, must be found in the answer's body; the status is then not looked at.
	Body string `json:"body,omitempty"`
	// User is who the check says it is, with postgresql alone. It needs no password and no database: the server is good
	// when it asks for the one or goes on without.
	User string `json:"user,omitempty"`
	// Port is where to check when that is not where the traffic goes.
	Port     Port     `json:"port,omitempty"`
	Interval Duration `json:"interval,omitempty"`
	Rise     int      `json:"rise,omitempty"`
	Fall     int      `json:"fall,omitempty"`
}

// CheckTypes are the ways a server can be checked, besides none.
var CheckTypes = []string{"http", "tcp", "ldap", "smtp", "postgresql", "ssh", "redis"}

func (h *HealthCheck) normalize() {
	setDefault(&h.Type, "http")
	switch h.Type {
	case "http":
		setDefault(&h.Method, "HEAD")
		if h.Body != "" && h.Method == "HEAD" {
			h.Method = "GET"
		}
		setDefault(&h.Path, "/")
		setDefault(&h.Host, "localhost")
		setDefault(&h.Expect, "200-399")
		h.Expect = strings.ReplaceAll(h.Expect, " ", "")
	case "smtp":
		setDefault(&h.Host, "localhost")
		if c, err := CanonicalHostname(h.Host); err == nil {
			h.Host = c
		}
	}
	if h.Type != "none" {
		setDefault(&h.Interval, Duration(2*time.Second))
		setDefault(&h.Rise, 2)
		setDefault(&h.Fall, 3)
	}
}

func (h *HealthCheck) validate(p *Problems, mode string) {
	oneOf(p, "healthCheck.type", h.Type, slices.Concat(CheckTypes, []string{"none"})...)
	switch {
	case h.Type == "http":
		h.validateHTTP(p)
	case h.Method != "" || h.Path != "" || h.Expect != "" || h.Body != "":
		p.Add("healthCheck", "method, path, expect and body belong to type http")
	case h.Host != "" && h.Type != "smtp":
		p.Add("healthCheck.host", "belongs to type http or smtp")
	case mode == "http" && slices.Contains(CheckTypes[2:], h.Type):
		p.Add("healthCheck.type", "%s is for tcp pools; say mode: tcp", h.Type)
	}
	if h.Type == "smtp" {
		checkHostname(p, "healthCheck.host", h.Host)
		if strings.HasPrefix(h.Host, "*") {
			p.Add("healthCheck.host", "must be one name")
		}
	}
	if h.Type == "postgresql" {
		if h.User == "" {
			p.Add("healthCheck.user", "is required with postgresql: the name of a user that the servers know")
		}
		checkToken(p, "healthCheck.user", h.User)
	} else if h.User != "" {
		p.Add("healthCheck.user", "belongs to type postgresql")
	}
	if h.Port != 0 {
		h.Port.check(p, "healthCheck.port")
	}
	if h.Type != "none" {
		h.Interval.within(p, "healthCheck.interval", 50*time.Millisecond, time.Hour)
		between(p, "healthCheck.rise", h.Rise, 1, 100)
		between(p, "healthCheck.fall", h.Fall, 1, 100)
	} else if h.Interval != 0 || h.Rise != 0 || h.Fall != 0 || h.Port != 0 {
		p.Add("healthCheck", "interval, rise, fall and port belong to a check, and type is none")
	}
}

func (h *HealthCheck) validateHTTP(p *Problems) {
	oneOf(p, "healthCheck.method", h.Method, "HEAD", "GET", "OPTIONS")
	if err := CheckURLPath(h.Path); err != nil {
		p.Add("healthCheck.path", "%s", err)
	} else if strings.Contains(h.Path, "$") {
		p.Add("healthCheck.path", "write '$' as %%24")
	}
	if err := CheckHost(h.Host); err != nil {
		p.Add("healthCheck.host", "%s", err)
	}
	if _, err := ParseStatuses(h.Expect); err != nil {
		p.Add("healthCheck.expect", "%s", err)
	} else {
		text(p, "healthCheck.expect", h.Expect, 100)
	}
	text(p, "healthCheck.body", h.Body, 255)
}

// StatusRange is a range of HTTP statuses, both ends included.
type StatusRange struct{ Low, High int }

// ParseStatuses reads "200", "200-299" or several of them with commas between.
func ParseStatuses(s string) ([]StatusRange, error) {
	var list []StatusRange
	for part := range splitComma(s) {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		r := StatusRange{threeDigits(low), threeDigits(high)}
		if r.Low < 0 || r.High < 0 {
			return nil, fmt.Errorf("%q must be statuses such as 200, 200-299 or 200,301-302", clip(s))
		}
		if r.Low < 100 || r.High > 599 || r.Low > r.High {
			return nil, fmt.Errorf("%q holds a range outside 100 to 599, or upside down", clip(s))
		}
		list = append(list, r)
	}
	return list, nil
}

// threeDigits reads a number of exactly three digits, -1 for anything else.
func threeDigits(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	if len(s) != 3 {
		return -1
	}
	return n
}
