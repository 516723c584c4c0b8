package agent

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"weir"
	"weir/internal/hapctl"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// What clients did is known to the next HAProxy too, also where root started both and their workers see nothing but a
// jail, by whichever name the folder is found.
func TestCountsOutliveAReload(t *testing.T) {
	t.Parallel()
	for _, home := range []bool{false, true} {
		t.Run(fmt.Sprint("home=", home), func(t *testing.T) {
			t.Parallel()
			weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
				b := newBed(t, h)
				if home {
					b.env.Home = b.folder.dir
				}
				b.site("web", 33)
				limit := ir.RateLimit{Name: "edge", RateLimit: weir.RateLimit{Count: weir.CountRequests, Period: weir.Duration(time.Hour), Soft: &weir.SoftLimit{Above: 1000}}}
				limit.Normalize()
				b.node.Limits, b.node.Sites[0].RateLimits = []ir.RateLimit{limit}, []string{"edge"}
				b.converge()
				b.serves("web")
				counted := func() string {
					show, err := hapctl.NewCommand("show", "table", "limits/3600s")
					if err != nil {
						t.Fatal(err)
					}
					all, err := b.process.Client().Do(t.Context(), show)
					if err != nil {
						t.Fatal(err)
					}
					return fmt.Sprint(regexp.MustCompile(`http_req_rate\(\d+\)=\d+`).FindAllString(all.Text, -1))
				}
				before := counted()
				if before == "[]" {
					t.Fatal("nothing was counted")
				}
				b.node.Tuning.MaxConnections = 4321
				if out := b.converge(); out.Plan.Reload == nil {
					t.Fatalf("no reload: %+v", out.Plan)
				}
				weirtest.Eventually(t, longWait, func() error {
					if after := counted(); after != before {
						return fmt.Errorf("%s before the reload, %s after it", before, after)
					}
					return nil
				})
				b.settled()
			})
		})
	}
}
