package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// count gives "1 pool" or "3 pools".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// list gives "a", "a and b", "a, b and c".
func list(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// some is list, but of many names only the first few and how many more there are.
func some(names []string, most int) string {
	if len(names) <= most {
		return list(names)
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// brief is for tables: names with commas between, and how many more than most there are.
func brief(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ",")
	}
	return fmt.Sprintf("%s +%d", strings.Join(names[:most], ","), len(names)-most)
}

// span gives a length of time in its two largest units: 3d4h, 2h10m, 45s.
func span(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	units := []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		text := strconv.Itoa(int(d/u.size)) + u.name
		if i+1 < len(units) && i < 2 {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				text += strconv.Itoa(int(rest)) + units[i+1].name
			}
		}
		return text
	}
	return "0s"
}

// ago says how long ago a moment was, or nothing when it is not known.
func ago(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	if now.Sub(at) < time.Second {
		return "just now"
	}
	return span(now.Sub(at)) + " ago"
}

// clock writes a moment as people here read it.
func clock(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05") }

// large gives a number with a thin grouping: 1 234 567 is "1.23M", 12 345 is "12.3k".
func large(n uint64) string {
	switch {
	case n < 10_000:
		return strconv.FormatUint(n, 10)
	case n < 1_000_000:
		return fmt.Sprintf("%.1fk", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.2fM", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.2fG", float64(n)/1e9)
	}
}

// parseSpan reads a length of time with days besides what Go reads: 90d, 1d12h, 2h30m.
func parseSpan(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		rest, days = text, "0"
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 0 || n > 36500 {
		return 0, fmt.Errorf("%q must be a length of time such as 30m, 2h or 90d", text)
	}
	var d time.Duration
	if rest != "" {
		if d, err = time.ParseDuration(rest); err != nil || d < 0 {
			return 0, fmt.Errorf("%q must be a length of time such as 30m, 2h or 90d", text)
		}
	}
	if d += time.Duration(n) * 24 * time.Hour; d <= 0 {
		return 0, fmt.Errorf("%q must be longer than nothing", text)
	}
	return d, nil
}
