package api

import (
	"cmp"
	"slices"
	"time"

	"weir"
)

// sorts compare lines by what people sort tables by.
var sorts = map[string]func(a, b *line) int{
	"name":     func(a, b *line) int { return cmp.Compare(a.object.Metadata.Name, b.object.Metadata.Name) },
	"state":    func(a, b *line) int { return a.state.worse(b.state) },
	"role":     func(a, b *line) int { return cmp.Compare(a.object.Metadata.Role, b.object.Metadata.Role) },
	"revision": func(a, b *line) int { return cmp.Compare(a.object.Revision, b.object.Revision) },
	"zone":     byText(zoneOf),
	"group":    byText(groupOf),
	"address":  byText(addressOf),
	"servers":  func(a, b *line) int { return cmp.Compare(upShare(a), upShare(b)) },
	"days":     func(a, b *line) int { return endOf(a).Compare(endOf(b)) },
	"since":    func(a, b *line) int { return sinceOf(a).Compare(sinceOf(b)) },
	"weight":   func(a, b *line) int { return cmp.Compare(weightOf(a), weightOf(b)) },
	"reloads":  func(a, b *line) int { return cmp.Compare(reloadsOf(a), reloadsOf(b)) },

	"requests":   func(a, b *line) int { return cmp.Compare(a.minute.Requests, b.minute.Requests) },
	"errorRatio": func(a, b *line) int { return cmp.Compare(a.minute.ErrorRatio, b.minute.ErrorRatio) },
	"p95":        func(a, b *line) int { return cmp.Compare(a.minute.P95MS, b.minute.P95MS) },
}

// busy are the sorts by what objects did in the last minute.
var busy = map[string]bool{"requests": true, "errorRatio": true, "p95": true}

func sortNames() (names []string) {
	for name := range sorts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func sortLines(list []*line, q rowsQuery) {
	by := sorts[q.sort]
	if q.sort == "name" && !q.descending {
		return // they are
	}
	slices.SortStableFunc(list, func(a, b *line) int {
		if q.descending {
			a, b = b, a
		}
		return by(a, b)
	})
}

func byText(text func(*line) string) func(a, b *line) int {
	return func(a, b *line) int { return cmp.Compare(text(a), text(b)) }
}

func zoneOf(l *line) string {
	switch spec := l.object.Spec.(type) {
	case *weir.Server:
		return spec.Zone
	case *weir.LoadBalancer:
		return spec.Zone
	case *weir.IPAddress:
		return spec.HomeZone
	case *weir.Pool:
		if spec.Selector != nil {
			return spec.Selector.Zone
		}
	}
	return ""
}

func groupOf(l *line) string {
	if spec, ok := l.object.Spec.(*weir.LoadBalancer); ok {
		return spec.Group
	}
	return ""
}

func addressOf(l *line) string {
	switch spec := l.object.Spec.(type) {
	case *weir.Server:
		return string(spec.Address.AsSlice())
	case *weir.IPAddress:
		return string(spec.Address.AsSlice())
	}
	return ""
}

// upShare is the part of a pool's servers that is up.
func upShare(l *line) float64 {
	up := upOf(l)
	if up == nil || up.Of == 0 {
		return 0
	}
	return float64(up.Up) / float64(up.Of)
}

func endOf(l *line) time.Time {
	if spec, ok := l.object.Spec.(*weir.Certificate); ok && spec.Info != nil {
		return spec.Info.NotAfter
	}
	return time.Time{}
}

func sinceOf(l *line) (at time.Time) {
	for _, s := range l.seen {
		if s.Since.After(at) {
			at = s.Since
		}
	}
	return at
}

func weightOf(l *line) int {
	if spec, ok := l.object.Spec.(*weir.Server); ok && spec.Weight != nil {
		return *spec.Weight
	}
	return 0
}

func reloadsOf(l *line) int {
	if l.lb != nil {
		return l.lb.Reloads.Count
	}
	return 0
}
