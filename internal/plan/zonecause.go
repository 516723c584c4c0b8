package plan

import (
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// otherZone is said where what sends requests on to another zone is opened, closed or changed.
const otherZone = "requests go on to another zone in another way"

// zoneCauses tells of the lines that say how zones come back, and of all lines where requests come back, and gives the
// other lines.
func zoneCauses(s *haproxy.Section, added, removed []haproxy.Line) (causes []cause, restAdded, restRemoved []haproxy.Line) {
	returns, owner, others := false, "", false
	told := func(l haproxy.Line) bool {
		mine := strings.Contains(l.Text, "txn.rested") || strings.Contains(l.Text, "(txn.noted)") ||
			strings.Contains(l.Text, "(proc.down) date,") || haproxy.Again(s) && (strings.Contains(l.Text, "track-sc0") ||
			strings.Contains(l.Text, "sc-set-gpt") || strings.Contains(l.Text, "stick-table"))
		if mine {
			returns, owner = true, l.Owner
		}
		others = others || !mine && haproxy.Again(s)
		return mine || haproxy.Again(s)
	}
	restAdded = slices.DeleteFunc(slices.Clone(added), told)
	restRemoved = slices.DeleteFunc(slices.Clone(removed), told)
	if returns {
		causes = append(causes, cause{owner: owner, what: "zones come back otherwise (zoneReturn)", why: whyTuning})
	}
	if others {
		causes = append(causes, cause{what: otherZone, why: whyPorts})
	}
	return causes, restAdded, restRemoved
}
