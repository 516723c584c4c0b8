package haproxy_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// A rule that goes by a Schedule lets calls through while that holds, to the second and by HAProxy's own clock: alone, beside
// rules that always hold, by methods and by paths. Outside of it the refusal names rule and Schedule. All of it is run time,
// the first such rule too.
func TestCallsByTheHour(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		to := func(service, level, schedule string, r weir.EgressRule) weir.EgressRule {
			r.Partner, r.Clients, r.Services, r.SLAs, r.Schedule = "example", []string{"myback-prod"}, []string{service}, []string{level}, schedule
			return r
		}
		g := startCallGate(t, h, nil, to("www", "high", "", weir.EgressRule{Methods: []string{"GET"}, Paths: []string{"/open"}}))
		call := func(method, path string) (int, string) {
			t.Helper()
			conn := g.dial(50, 8080)
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			fmt.Fprintf(conn, "%s /myback/prod/example/prod/%s HTTP/1.1\r\nHost: egress.inside\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, path)
			answer, _ := io.ReadAll(conn)
			return statusOf(string(answer)), string(answer)
		}
		long := strings.Repeat("a-very-long-name-of-a-schedule-", 2)
		hour := func(from, until time.Time) {
			t.Helper()
			g.change(func(n *ir.Node) {
				n.Schedules = []ir.Schedule{{Name: "ever", From: time.Unix(0, 0)}, {Name: "hour", From: from, Until: until}, {Name: "over", Until: from.Add(-time.Hour)}, {Name: "then", From: until}}
				for i := range 4 {
					n.Schedules = append(n.Schedules, ir.Schedule{Name: fmt.Sprint(long, i), From: from})
				}
				slices.SortFunc(n.Schedules, func(a, b ir.Schedule) int { return strings.Compare(a.Name, b.Name) })
			})
		}
		now := time.Now().Truncate(time.Second)
		hour(now.Add(time.Hour), now.Add(2*time.Hour))
		g.change(func(n *ir.Node) {
			n.Rules = slices.Clone(n.Rules)
			for i, r := range []weir.EgressRule{
				to("www", "high", "hour", weir.EgressRule{Methods: []string{"POST"}, Paths: []string{"/open/in"}}),
				to("www", "high", "hour", weir.EgressRule{Methods: []string{"GET"}, Paths: []string{"/hour"}}),
				to("www", "high", "then", weir.EgressRule{}),
				to("mail", "high", "hour", weir.EgressRule{}),
				to("mail", "high", "over", weir.EgressRule{}),
				to("own", "low", "over", weir.EgressRule{}),
				to("mail", "low", "ever", weir.EgressRule{Methods: []string{"GET"}}),
				to("files", "high", long+"0", weir.EgressRule{}),
				to("files", "high", long+"1", weir.EgressRule{}),
				to("files", "high", long+"2", weir.EgressRule{}),
				to("files", "high", long+"3", weir.EgressRule{}),
			} {
				n.Rules = append(n.Rules, ir.EgressRule{Name: string(rune('b' + i)), EgressRule: r})
			}
		})
		type answer struct {
			call   string
			status int
			says   string
		}
		want := func(when string, list ...answer) {
			t.Helper()
			for _, one := range append(list,
				answer{"GET www/high/open", 200, ""},
				answer{"GET mail/low/x", 200, ""},
				answer{"POST mail/low/x", 403, "EgressRule/h lets no POST through here\n"},
				answer{"GET own/low/x", 403, "EgressRule/g holds only while Schedule/over does\n"},
			) {
				method, path, _ := strings.Cut(one.call, " ")
				if status, all := call(method, path); status != one.status || !strings.Contains(all, one.says) {
					t.Errorf("%s: %s: %d, want %d with %q\n%s", when, one.call, status, one.status, one.says, all)
				}
			}
		}
		const mail = "EgressRule/e holds only while Schedule/hour does\n"
		want("before",
			answer{"POST www/high/open/in", 403, "EgressRule/a lets no POST through here\n"},
			answer{"GET www/high/hour", 403, "EgressRule/a lets nothing through at this path\n"},
			answer{"GET mail/high/x", 403, mail},
			answer{"GET files/high/x", 403, "EgressRule/i holds only while Schedule/" + long + "0 does\n"})
		if said := g.logged("/mail/high/x"); said != "403 out/!schedule http-8080 -" {
			t.Errorf("logged %q", said)
		}
		hour(now.Add(-time.Hour), now.Add(time.Hour))
		want("during",
			answer{"POST www/high/open/in", 200, ""},
			answer{"POST www/high/open", 403, "lets no POST through here\n"},
			answer{"GET www/high/hour", 200, ""},
			answer{"GET www/high/other", 403, "lets nothing through at this path\n"},
			answer{"GET mail/high/x", 200, ""},
			answer{"GET files/high/x", 200, ""})
		hour(now.Add(-2*time.Hour), now.Add(-time.Hour))
		want("after",
			answer{"POST www/high/other", 200, ""},
			answer{"GET mail/high/x", 403, mail},
			answer{"GET files/high/x", 200, ""})

		soon := time.Now().Truncate(time.Second).Add(2 * time.Second)
		hour(soon, soon.Add(time.Hour))
		for time.Now().Before(soon) {
			if status, all := call("GET", "mail/high/x"); status != 403 && time.Now().Before(soon) {
				t.Fatalf("before %s: %s", soon, all)
			}
		}
		if status, all := call("GET", "mail/high/x"); status != 200 {
			t.Errorf("at %s: %s", soon, all)
		}
	})
}
