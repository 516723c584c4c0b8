package weir_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
)

func TestRulesOfSchedules(t *testing.T) {
	for text, want := range map[string]string{
		"kind: Schedule\nmetadata: {name: a}\nspec: {reason: x}":                                                                                                      "spec.from: needs from, until or both",
		"kind: Schedule\nmetadata: {name: a}\nspec: {from: 2030-01-01T00:00:00Z}":                                                                                     "spec.reason: is required",
		"kind: Schedule\nmetadata: {name: a}\nspec: {from: 2030-01-01T00:00:00Z, until: 2030-01-01T00:00:00.9Z, reason: x}":                                           "spec.until: 2030-01-01T00:00:00Z must be later than from",
		"kind: Schedule\nmetadata: {name: a}\nspec: {until: 1999-01-01T00:00:00Z, reason: x}":                                                                         "spec.until: 1999-01-01T00:00:00Z is outside",
		"kind: ZoneShift\nmetadata: {name: a}\nspec: {all: true, zone: z, reason: x}":                                                                                 "spec.expiresAt: is required",
		"kind: ZoneShift\nmetadata: {name: a}\nspec: {all: true, zone: z, reason: x, schedule: a b}":                                                                  "spec.schedule",
		"kind: ZoneShift\nmetadata: {name: a}\nspec: {all: true, zone: z, reason: x, schedule: a, expiresAt: 2030-01-01T00:00:00Z}":                                   "spec.schedule: says when the shift ends",
		"kind: RateLimit\nmetadata: {name: a}\nspec: {count: requests, period: 1s, hard: {above: 9}, schedules: [{schedule: a}]}":                                     "spec.schedules[0]: needs soft, hard or both",
		"kind: RateLimit\nmetadata: {name: a}\nspec: {count: requests, period: 1s, hard: {above: 9}, schedules: [{schedule: a, soft: {above: 1}}]}":                   "spec.schedules[0].soft: is a level that the limit does not have",
		"kind: RateLimit\nmetadata: {name: a}\nspec: {count: requests, period: 1s, soft: {above: 5}, hard: {above: 9}, schedules: [{schedule: a, soft: {above: 9}}]}": "spec.schedules[0]: the hard level is then 9 and must be more than the 9",
	} {
		if _, err := weir.Decode("a.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngives %v, want %q", text, err, want)
		}
	}
	// of splits
	for spec, want := range map[string]string{
		"legs: [{backend: default, weight: 1}]":                                                                                                                             "spec.legs: holds 1; two to 4",
		"legs: [{backend: api, weight: 1}, {backend: default, weight: 1}]":                                                                                                  "spec.legs[0].backend: must be \"default\"",
		"legs: [{backend: default, weight: 1}, {backend: default, weight: 1}]":                                                                                              "spec.legs[1].backend: \"default\" is a leg already",
		"legs: [{backend: default, weight: 0}, {backend: b, weight: 0}]":                                                                                                    "spec.legs: leave no leg with a weight",
		"legs: [{backend: default, weight: 1}, {backend: b, weight: 1001}]":                                                                                                 "spec.legs[1].weight: 1001 is outside",
		"abort: {errors: 0}, legs: [{backend: default, weight: 1}, {backend: b, weight: 1}]":                                                                                "spec.abort.errors: 0 is outside 1 to 99",
		"abort: {errors: 5, window: 2m}, legs: [{backend: default, weight: 1}, {backend: b, weight: 1}]":                                                                    "spec.abort.window: 2m is none of 10s, 1m and 10m",
		"abort: {errors: 5, requests: -1}, legs: [{backend: default, weight: 1}, {backend: b, weight: 1}]":                                                                  "spec.abort.requests: -1 is outside",
		"sticky: ip, legs: [{backend: default, weight: 1}, {backend: b, weight: 1}]":                                                                                        "spec.sticky: \"ip\" must be one of none, cookie, source",
		"steps: [{weights: {b: 1}}], legs: [{backend: default, weight: 1}, {backend: b, weight: 1}]":                                                                        "spec.steps[0].at: is required",
		"steps: [{at: 2030-01-01T00:00:00Z, weights: {c: 1}}], legs: [{backend: default, weight: 1}, {backend: b, weight: 1}]":                                              "spec.steps[0].weights.c: \"c\" is none of the legs",
		"steps: [{at: 2030-01-01T00:00:00Z, weights: {default: 0}}], legs: [{backend: default, weight: 1}, {backend: b, weight: 0}]":                                        "spec.steps[0].weights: leave no leg",
		"steps: [{at: 2030-01-01T00:00:00Z, weights: {b: 2}}, {at: 2030-01-01T00:00:00Z, weights: {b: 3}}], legs: [{backend: default, weight: 1}, {backend: b, weight: 0}]": "spec.steps[1].at: must be later",
	} {
		if _, err := weir.Decode("a.yaml", []byte("kind: Split\nmetadata: {name: a}\nspec: {site: www, "+spec+"}")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngives %v, want %q", spec, err, want)
		}
	}
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s := weir.Schedule{From: at, Until: at.Add(time.Second)}
	if s.Holds(at.Add(-1)) || !s.Holds(at) || s.Holds(s.Until) {
		t.Error("a window is from its first second until the first after it")
	}
}

// TestSchedulesAreReferredTo: who goes by a schedule keeps it there, and a shift needs one that ends.
func TestSchedulesAreReferredTo(t *testing.T) {
	decode := func(text string) []*weir.Object {
		list, err := weir.Decode("a.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	schedule := func(spec string) *weir.Object {
		return decode("kind: Schedule\nmetadata: {name: night, role: web}\nspec: {" + spec + ", reason: x}")[0]
	}
	set := weir.NewSet(decode(`{kind: Role, metadata: {name: web}}
---
{kind: Role, metadata: {name: api}}
---
{kind: Zone, metadata: {name: az1}}`)...)
	set.Put(schedule("until: 2030-01-01T00:00:00Z"))
	refuse := func(want string, writes ...weir.Write) {
		t.Helper()
		after := set.Copy()
		var refs []weir.Ref
		for _, w := range writes {
			if w.Put != nil {
				after.Put(w.Put)
			} else {
				after.Delete(w.Delete)
			}
			refs = append(refs, w.Ref())
		}
		list := weir.Check(set, after, refs)
		if want == "" && len(list) == 0 {
			set = after
			return
		}
		if want == "" || len(list) != 1 || !strings.Contains(list[0].String(), want) {
			t.Errorf("refused with %v, want %q", list, want)
		}
	}
	shift := func(role string) *weir.Object {
		return decode("kind: ZoneShift\nmetadata: {name: s, role: " + role + "}\nspec: {role: " + role + ", zone: az1, schedule: night, reason: x}")[0]
	}
	refuse("spec.schedule: Schedule/night belongs to role web, which does not share it", weir.Write{Put: shift("api")})
	refuse("", weir.Write{Put: shift("web")})
	refuse("spec.until: is required: ZoneShift/s refers to it, and a shift must end by itself", weir.Write{Put: schedule("from: 2030-01-01T00:00:00Z")})
	refuse("ZoneShift/s: spec.schedule: Schedule/night has no until", weir.Write{Put: schedule("from: 2030-01-01T00:00:00Z")}, weir.Write{Put: shift("web")})
	refuse("can't be deleted: ZoneShift/s refers to it", weir.Write{Delete: weir.Ref{Kind: "Schedule", Name: "night"}})
	if from, until := set.Get(weir.Ref{Kind: "ZoneShift", Name: "s"}).Spec.(*weir.ZoneShift).Window(set); !from.IsZero() || until.Year() != 2030 {
		t.Errorf("the window is %s to %s", from, until)
	}
}

// TestSharesOfSplits: shares add up, follow the steps, and who has drawn a number keeps a leg that grows.
func TestSharesOfSplits(t *testing.T) {
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s := weir.Split{
		Legs:  []weir.SplitLeg{{Backend: "a", Weight: 2}, {Backend: "b", Weight: 1}, {Backend: "c"}},
		Steps: []weir.SplitStep{{At: at, Weights: map[string]int{"c": 3}}, {At: at.Add(time.Hour), Weights: map[string]int{"a": 0, "b": 0}}},
	}
	for when, want := range map[time.Time]string{at.Add(-1): "[667 333 0]", at: "[333 167 500]", at.Add(2 * time.Hour): "[0 0 1000]"} {
		if got := fmt.Sprint(s.Shares(when)); got != want {
			t.Errorf("at %s: %s, want %s", when, got, want)
		}
	}
	leg := func(shares []int, n int) int {
		for _, r := range weir.SplitRanges(shares) {
			if r.From <= n && n <= r.To {
				return r.Leg
			}
		}
		return 0
	}
	for _, shares := range [][]int{{1000, 0}, {0, 1000}, {500, 300, 200}, {1, 2, 3, 994}, {0, 999, 0, 1}, {250, 250, 250, 250}, {100, 800, 50, 50}} {
		got := make([]int, len(shares))
		for n := range weir.SplitShares {
			got[leg(shares, n)]++
		}
		if fmt.Sprint(got) != fmt.Sprint(shares) {
			t.Errorf("%v is laid out as %v", shares, got)
		}
	}
	for n := range weir.SplitShares {
		if was, is := leg([]int{800, 150, 50}, n), leg([]int{300, 500, 200}, n); was != 0 && was != is {
			t.Errorf("who has drawn %d goes from leg %d to %d", n, was, is)
		}
	}
}

func TestSplitsBetweenObjects(t *testing.T) {
	decode := func(text string) []*weir.Object {
		list, err := weir.Decode("a.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	split := func(name, role, legs string) *weir.Object {
		return decode("{kind: Split, metadata: {name: " + name + ", role: " + role + "}, spec: {site: www, legs: [{backend: default, weight: 1}, " + legs + "]}}")[0]
	}
	site := func(backends string) *weir.Object {
		return decode("{kind: Site, metadata: {name: www, role: web, shareWith: [api]}, spec: {hostnames: [www.example.com], addresses: [vip], listeners: [{port: 80}], backends: {" + backends + "}}}")[0]
	}
	set := weir.NewSet(decode(`{kind: Role, metadata: {name: web}, spec: {hostnames: ["*.example.com"], groups: [edge]}}
---
{kind: Role, metadata: {name: api}}
---
{kind: IPAddress, metadata: {name: vip}, spec: {address: 203.0.113.1, groups: [edge]}}
---
{kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [203.0.113.0/28]}}
---
{kind: Pool, metadata: {name: p}, spec: {}}`)...)
	set.Put(site("default: p, b: p"))
	set.Put(split("one", "web", "{backend: b, weight: 1}"))
	for _, c := range []struct {
		put  *weir.Object
		want string
	}{
		{split("two", "web", "{backend: b, weight: 1}"), "spec.backend: Split/one divides backend \"default\" of Site/www already"},
		{split("one", "web", "{backend: c, weight: 1}"), "spec.legs[1].backend: \"c\" is no backend of Site/www"},
		{split("one", "api", "{backend: b, weight: 1}"), "spec.site: Site/www is not role api's"},
		{site("default: p"), "Split/one could not stay: spec.legs[1].backend: \"b\" is no backend"},
	} {
		after := set.Copy()
		after.Put(c.put)
		list := weir.Check(set, after, []weir.Ref{c.put.Ref()})
		if len(list) != 1 || !strings.Contains(list[0].String(), c.want) {
			t.Errorf("refused with %v, want %q", list, c.want)
		}
	}
}
