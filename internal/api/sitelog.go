package api

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"weir"
	"weir/internal/ir"
)

// LogSource asks load balancers for the lines of logs. Many goroutines call it at once.
type LogSource interface {
	// Log gives take what a load balancer has of a site's log, recent lines first and, if they are asked for, later ones as
	// they come. It returns when there is nothing more to come, ctx ends, or the load balancer can't be asked any longer,
	// which is a *weir.Error that can be shown. Take must not wait.
	Log(ctx context.Context, loadBalancer string, ask LogAsk, take func(LogPart)) error
}

// LogAsk says which lines of a site's log are wanted; what is empty is any.
type LogAsk struct {
	Site   string
	Pool   string
	Zone   string
	Status int // a status, or 1 to 5 for a class
	Method string
	Path   string // what it begins with
	Client netip.Prefix
	Errors bool
	Since  time.Time
	// Recent is how many lines of before are wanted at most; Run and After say where an answer before left off; Follow
	// wants later lines, too.
	Recent int
	Run    string
	After  uint64
	Follow bool
}

// LogPart is some lines of one load balancer.
type LogPart struct {
	Lines []LogLine
	// Left counts lines that were left out, because there were too many; Live says that the recent ones were given.
	Left int
	Live bool
	// Run and After are where this leaves off.
	Run   string
	After uint64
}

// LogLine is a request, or a connection of a tcp site, as a load balancer logged it when it was over. Texts are as
// clients sent them, but for what can't be printed, or would do something else to a terminal than be seen: that is U+FFFD.
type LogLine struct {
	// Time is when the request began.
	Time         time.Time `json:"time"`
	LoadBalancer string    `json:"loadBalancer"`
	// Kind is http or tcp.
	Kind       string `json:"kind"`
	Client     string `json:"client"`
	ClientPort string `json:"clientPort"`
	Method     string `json:"method,omitempty"`
	Host       string `json:"host,omitempty"`
	// Path is without the query, 512 bytes at most.
	Path    string `json:"path,omitempty"`
	Version string `json:"version,omitempty"`
	// Status is absent for connections, and for requests that were not answered.
	Status int `json:"status,omitempty"`
	// Route is the site, or site/backend.
	Route string `json:"route,omitempty"`
	Zone  string `json:"zone,omitempty"`
	Pool  string `json:"pool,omitempty"`
	// Server is absent where none was chosen, and where the caller may not see the pool.
	Server   string    `json:"server,omitempty"`
	BytesIn  int64     `json:"bytesIn"`
	BytesOut int64     `json:"bytesOut"`
	Timers   LogTimers `json:"timersMs"`
	// Termination is HAProxy's two letters for how it ended, -- when all went well.
	Termination string `json:"termination"`
	// Why says in words why it did not end as it should, as "refuses connections"; it is absent where it did.
	Why          string `json:"why,omitempty"`
	Retries      int64  `json:"retries,omitempty"`
	Redispatched bool   `json:"redispatched,omitempty"`
	TLSVersion   string `json:"tlsVersion,omitempty"`
	TLSCipher    string `json:"tlsCipher,omitempty"`
	// Limited are the rate limits that it was over.
	Limited string `json:"limited,omitempty"`
	// Caller is the EgressClient of a call to a partner, and Rule the EgressRule that was found for it.
	Caller string `json:"caller,omitempty"`
	Rule   string `json:"rule,omitempty"`
	// At is the address and port of the partner that was called, Unmade why there was no connection to it; both are absent
	// where the caller may not see the Partner.
	At     string `json:"at,omitempty"`
	Unmade string `json:"unmade,omitempty"`
	// RequestHeaders and ResponseHeaders are those that the site captures.
	RequestHeaders  map[string]string `json:"requestHeaders,omitempty"`
	ResponseHeaders map[string]string `json:"responseHeaders,omitempty"`
}

// quiet takes out what is not for printing: clients and servers choose most of the texts.
func (l *LogLine) quiet() {
	for _, text := range []*string{
		&l.Kind, &l.Client, &l.ClientPort, &l.Method, &l.Host, &l.Path, &l.Version, &l.Route, &l.Zone, &l.Pool, &l.Server,
		&l.Termination, &l.Why, &l.TLSVersion, &l.TLSCipher, &l.Limited,
		&l.Caller, &l.Rule, &l.At, &l.Unmade,
	} {
		*text = printable(*text)
	}
	for _, headers := range []map[string]string{l.RequestHeaders, l.ResponseHeaders} {
		for name, value := range headers {
			headers[name] = printable(value)
		}
	}
}

// printable replaces control characters, and those that change the direction of what follows.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// LogTimers are in whole milliseconds; -1 for what was not reached.
type LogTimers struct {
	Request  int64 `json:"request"`
	Queue    int64 `json:"queue"`
	Connect  int64 `json:"connect"`
	Response int64 `json:"response"`
	Total    int64 `json:"total"`
}

// LogStreamLine is a line of a stream of log lines.
type LogStreamLine struct {
	// Type is line, live, left out, silent, heartbeat or error. Live comes once, after the recent lines.
	Type string   `json:"type"`
	Line *LogLine `json:"line,omitempty"`
	// Count is of left out: how many lines were not sent because there were too many, since that was said last.
	Count int `json:"count,omitempty"`
	// LoadBalancer and Message are of silent: whose lines are missing from now on, and why.
	LoadBalancer string   `json:"loadBalancer,omitempty"`
	Message      string   `json:"message,omitempty"`
	Problem      *Problem `json:"problem,omitempty"`
}

const (
	usualRecent = 100
	mostRecent  = 1000
)

var logParams = []param{
	{name: "status", kind: "string", doc: "Only answers of this status, or class, as 5xx."},
	{name: "method", kind: "string", doc: "Only requests of this method."},
	{name: "path", kind: "string", doc: "Only requests whose paths begin so."},
	{name: "client", kind: "string", doc: "Only clients of this address or network."},
	{name: "zone", kind: "string", doc: "Only what went to this zone."},
	{name: "pool", kind: "string", doc: "Only what went to this pool."},
	{name: "errors", kind: "boolean", doc: "Only answers of class 5xx, and what did not end as it should, whoever caused that."},
	{name: "since", kind: "string", doc: "Of the recent lines only those since this moment, as 2026-12-06T10:00:00Z, or as 10m for ten minutes ago."},
	{name: "lines", kind: "integer", doc: "The most recent lines to begin with, 100 when left out, at most 1000; load balancers keep the last ones only, in memory."},
	{name: "follow", kind: "boolean", doc: "False ends the stream after the recent lines."},
}

// siteLog streams what load balancers log of a site.
func (c *call) siteLog(kind weir.Kind) error {
	o, err := c.find(kind)
	if err != nil {
		return err
	}
	ask, err := c.logAsk(o.Metadata.Name)
	if err != nil {
		return err
	}
	if c.h.opts.Logs == nil {
		return weir.Errorf(weir.Unavailable, "this server can't ask load balancers for their logs")
	}
	t := &logTail{source: c.h.opts.Logs, ask: ask, events: make(chan logEvent, 256)}
	t.balancers = balancersOf(c.h.opts.Store.View(), o)
	return stream(c, source[[]LogStreamLine]{
		seq:  t.run,
		beat: func() any { return LogStreamLine{Type: "heartbeat"} },
		lines: func(list []LogStreamLine) (lines []any, last bool) {
			view := c.h.opts.Store.View()
			if now := view.Get(o.Ref()); now == nil || c.may(now) != nil {
				p := problemOf(weir.Errorf(weir.Forbidden, "%s is gone, or may not be read any more", o.Ref()), c.instance())
				return []any{LogStreamLine{Type: "error", Problem: &p}}, true
			}
			for i := range list {
				if l := list[i].Line; l != nil {
					if (l.Server != "" || l.At != "") && !c.sees(view, ir.PoolOwner(l.Pool)) {
						l.Server, l.At, l.Unmade = "", "", ""
					}
					l.Why = l.why()
					l.quiet()
				}
				lines = append(lines, list[i])
			}
			return lines, false
		},
	})
}

// logAsk reads which lines are wanted.
func (c *call) logAsk(site string) (ask LogAsk, err error) {
	ask = LogAsk{Site: site, Pool: c.text("pool"), Zone: c.text("zone"), Method: strings.ToUpper(c.text("method")), Path: c.text("path")}
	if ask.Status, err = c.logStatus(); err != nil {
		return ask, err
	}
	if text := c.text("client"); text != "" {
		if ask.Client, err = networkOf(text); err != nil {
			return ask, queryProblem("client", text, "an address or a network, as 203.0.113.0/24")
		}
	}
	if ask.Errors, err = c.flag("errors"); err != nil {
		return ask, err
	}
	if text := c.text("since"); text != "" {
		if ask.Since, err = momentOf(text, c.h.opts.Clock()); err != nil {
			return ask, queryProblem("since", text, "a moment, as 2026-12-06T10:00:00Z, or how long ago, as 10m")
		}
	}
	recent, err := c.number("lines", usualRecent, 0, mostRecent)
	if err != nil {
		return ask, err
	}
	ask.Recent, ask.Follow = int(recent), true
	if c.has("follow") {
		ask.Follow, err = c.flag("follow")
	}
	return ask, err
}

// logStatus reads a status, or the number of a class.
func (c *call) logStatus() (int, error) {
	text := c.text("status")
	if text == "" {
		return 0, nil
	}
	if class, ok := strings.CutSuffix(strings.ToLower(text), "xx"); ok && len(class) == 1 && class >= "1" && class <= "5" {
		return int(class[0] - '0'), nil
	}
	status, err := strconv.Atoi(text)
	if err != nil || status < 100 || status > 599 {
		return 0, queryProblem("status", text, "a status, as 503, or a class, as 5xx")
	}
	return status, nil
}

func networkOf(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// momentOf reads a moment, or how long ago it was.
func momentOf(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(strings.TrimPrefix(text, "-")); err == nil {
		return now.Add(-ago), nil
	}
	return time.Parse(time.RFC3339, text)
}

// balancersOf names the load balancers of the groups that serve a site.
func balancersOf(view *weir.Set, site *weir.Object) []string {
	seen := map[string]bool{}
	var names []string
	for _, address := range site.Spec.(*weir.Site).Addresses {
		ip := weir.Find[weir.IPAddress](view, "IPAddress", address)
		if ip == nil {
			continue
		}
		for _, group := range ip.Groups {
			for lb := range view.ReferrersOf("LoadBalancer", weir.Ref{Kind: "LoadBalancerGroup", Name: group}) {
				if !seen[lb.Name] {
					seen[lb.Name] = true
					names = append(names, lb.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}
