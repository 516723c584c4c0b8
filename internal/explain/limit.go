package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// limits tells which rate limits count the request. How much a client has been counted is not known here: the request
// is taken to be within all of them.
func (w *walk) limits() bool {
	if len(w.site.RateLimits) == 0 {
		return true
	}
	client := w.q.From
	if a, err := netip.ParseAddr(w.forwardedFor()); err == nil {
		client = a
	}
	lists := w.listsOf(client)
	for _, name := range w.site.RateLimits {
		at := slices.IndexFunc(w.node.Limits, func(l ir.RateLimit) bool { return l.Name == name })
		if at < 0 {
			continue
		}
		l := &w.node.Limits[at]
		object := "RateLimit/" + name
		spares := slices.IndexFunc(l.Exempt, func(list string) bool { return slices.Contains(lists, list) })
		switch {
		case spares >= 0:
			w.step("limit", object, "exempt", "spares %s, which is in AccessList/%s", client, l.Exempt[spares])
		default:
			w.step("limit", object, "", "counts %s", w.counts(l, client))
		}
	}
	return true
}

// counts says what a limit counts, by what, and what happens above.
func (w *walk) counts(l *ir.RateLimit, client netip.Addr) string {
	bits := 32
	key := l.Key
	if key == nil {
		key = &weir.RateLimitKey{IPv4: 32, IPv6: 64}
	}
	if bits = key.IPv4; client.Is6() && !client.Is4In6() {
		bits = key.IPv6
	}
	by := ""
	if net, err := client.Prefix(bits); err == nil {
		by = net.String()
	}
	cookie, _ := w.header.cookie(key.Cookie)
	switch value := w.header.last(key.Header); {
	case !w.http():
	case key.Header != "" && value != "":
		by = fmt.Sprintf("%s: %s", key.Header, clip(value))
	case key.Cookie != "" && cookie != "":
		by = fmt.Sprintf("cookie %s=%s", key.Cookie, clip(cookie))
	case key.Path:
		by = clip(w.path)
	}
	text := fmt.Sprintf("%s of %s", l.Count, by)
	if l.Count != weir.CountConcurrent {
		text += fmt.Sprintf(" over %s", l.Period)
	}
	var levels []string
	soft, hard := l.Soft, l.Hard
	if i := slices.IndexFunc(l.Schedules, func(s weir.RateLimitSchedule) bool { return w.holds(s.Schedule) }); i >= 0 {
		then := l.Schedules[i]
		text += fmt.Sprintf(", while Schedule/%s holds", then.Schedule)
		if soft != nil && then.Soft != nil {
			other := *soft
			other.Above, soft = then.Soft.Above, &other
		}
		if hard != nil && then.Hard != nil {
			hard = &weir.HardLimit{Above: then.Hard.Above}
		}
	}
	if s := soft; s != nil {
		page := ""
		if s.ErrorPage != "" {
			page = " and ErrorPage/" + s.ErrorPage
		}
		levels = append(levels, fmt.Sprintf("above %d it answers %d%s", s.Above, s.Status, page))
	}
	if h := hard; h != nil {
		levels = append(levels, fmt.Sprintf("above %d it closes the connection", h.Above))
	}
	if l.Mode == weir.LimitShadow {
		return text + "; in shadow mode it only says so in the log"
	}
	return text + "; " + strings.Join(levels, ", ")
}
