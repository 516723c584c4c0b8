package register

import (
	"strings"
	"time"
)

// verdict is what one check says, after the looks so far.
type verdict struct {
	name       string
	rise, fall int

	// decided says that passes counts: before there were enough looks, nothing is said.
	decided, passes bool
	good, bad       int // in a row
	why             string
}

// looked counts a look, and says whether that has changed the verdict.
func (v *verdict) looked(err error) bool {
	if err == nil {
		v.good, v.bad = v.good+1, 0
		if v.good < v.rise || v.decided && v.passes {
			return false
		}
		v.decided, v.passes, v.why = true, true, ""
		return true
	}
	v.good, v.bad = 0, v.bad+1
	if v.bad < v.fall || v.decided && !v.passes {
		return false
	}
	v.decided, v.passes = true, false
	v.why = "check " + v.name + ": " + printable(err.Error())
	return true
}

// verdicts are those of all checks.
type verdicts []*verdict

func verdictsOf(checks []Check) verdicts {
	list := make(verdicts, len(checks))
	for i, c := range checks {
		list[i] = &verdict{name: c.Name, rise: c.Rise, fall: c.Fall}
	}
	return list
}

// sum says whether the service is well, and if not, why; decided is false while that is not known: no check has failed, and
// one has not been looked at often enough.
func (list verdicts) sum() (well, decided bool, why string) {
	well, decided = true, true
	var reasons []string
	for _, v := range list {
		if v.decided && !v.passes {
			reasons = append(reasons, v.why)
		}
		decided = decided && v.decided
	}
	if len(reasons) > 0 {
		return false, true, clipped(strings.Join(reasons, "; "))
	}
	return well, decided, ""
}

// maxReason is the longest reason that a control plane takes, in bytes.
const maxReason = 500

func clipped(s string) string {
	if len(s) > maxReason {
		return strings.ToValidUTF8(s[:maxReason-len("…")], "") + "…"
	}
	return s
}

// backoff is how long to wait before the nth try again, before chance is added.
func backoff(n int, most time.Duration) time.Duration {
	return min(most, 500*time.Millisecond<<min(n, 10))
}
