package api

import (
	"fmt"
	"strings"
	"testing"

	"weir"
)

// list is an inventory of role web, in CSV.
func list(from, to int) string {
	var b strings.Builder
	b.WriteString("name,role,address,zone\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "web-%d,web,10.1.%d.%d,az1\n", i, i/250, i%250+1)
	}
	return b.String()
}

func (w *world) inventory(who, query, body string) answer {
	w.t.Helper()
	media := CSVType
	if strings.HasPrefix(body, "[") {
		media = "application/json"
	}
	return w.do(who, "POST", "/api/v1/inventory?brief=true"+query, body, "Content-Type", media)
}

func TestInventoryIsOneChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	counts := func(a answer) string {
		v := read[InventoryAnswer](t, w.want(a, 200))
		return fmt.Sprintf("%d entries: +%d ~%d -%d =%d at %d, dry run %t", v.Entries, v.Created, v.Updated, v.Deleted, v.Unchanged, v.Revision, v.DryRun)
	}
	expect := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	expect(counts(w.inventory("owner", "&dryRun=true", list(0, 10))), "10 entries: +10 ~0 -0 =0 at 1, dry run true")
	expect(counts(w.inventory("owner", "&reason=import", list(0, 10))), "10 entries: +10 ~0 -0 =0 at 2, dry run false")
	expect(counts(w.inventory("owner", "", list(0, 10))), "10 entries: +0 ~0 -0 =10 at 2, dry run false")
	moved := strings.Replace(list(5, 12), "10.1.0.6", "10.9.0.6", 1)
	expect(counts(w.inventory("owner", "", moved)), "7 entries: +2 ~1 -0 =4 at 3, dry run false")
	expect(counts(w.inventory("owner", "&replace=web", list(0, 6))), "6 entries: +0 ~1 -6 =5 at 4, dry run false")
	p := w.want(w.inventory("owner", "&replace=web", list(0, 2)), 409).problem(t)
	if !strings.Contains(p.Detail, "4 of the 6 servers") || !strings.Contains(p.Detail, "remove=4") {
		t.Errorf("refused with: %s", p.Detail)
	}
	expect(counts(w.inventory("owner", "&replace=web&remove=4&dryRun=1", list(0, 2))), "2 entries: +0 ~0 -4 =2 at 4, dry run true")
	expect(counts(w.inventory("owner", "&replace=web&remove=4", list(0, 2))), "2 entries: +0 ~0 -4 =2 at 5, dry run false")
	expect(counts(w.inventory("owner", "&replace=web&zone=az1&remove=2", "name,role,address,zone\n")), "0 entries: +0 ~0 -2 =0 at 6, dry run false")
	planned := read[InventoryAnswer](t, w.do("owner", "POST", "/api/v1/inventory?dryRun=true&plan=true", list(0, 1), "Content-Type", CSVType))
	if planned.Plan == nil || strings.Join(planned.Plan.LoadBalancers[0].Sentences, ", ") != "add Server/web-0" || planned.Change.Objects[0].After == nil {
		t.Errorf("the plan is %+v", planned)
	}
}

func TestInventoryIsRefusedWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := func(name, meta string) string {
		return manifest("Server", name, roleWeb[:len(roleWeb)-2]+meta+"}\nspec: {address: 10.0.0.7, zone: az1}")
	}
	w.want(w.do("owner", "PUT", "/api/v1/servers/web-3", server("web-3", "")), 201)
	w.want(w.do("owner", "PUT", "/api/v1/servers/web-4", server("web-4", ", managedBy: cloud")), 201)
	before := w.everything()
	for _, c := range []struct {
		who, query, body string
		status           int
		want             string
	}{
		{"owner", "", "", 400, "is empty"},
		{"owner", "", "[]", 400, "the list holds no server"},
		{"owner", "", list(0, 0), 400, "the list holds no server"},
		{"owner", "&zone=az1", list(0, 1), 400, "together with replace"},
		{"owner", "&replace=Web", list(0, 1), 400, "the name of a role"},
		{"owner", "&replace=web&remove=many", list(0, 1), 400, "a whole number"},
		{"owner", "&replace=media", list(0, 1), 403, "replacing the servers of role media takes the right owner"},
		{"admin", "&replace=media", list(0, 1), 400, "body:2: Server/web-0: entries[0].role: the list is to replace the servers of role media"},
		{"other", "", list(0, 2), 403, "Server/web-0"},
		{"operator", "", list(0, 2), 403, "owner"},
		{"owner", "", list(0, 5), 409, "body:5: Server/web-3: entries[3]: was made by a person, and is left alone: set its metadata.managedBy to inventory"},
		{"owner", "", list(0, 5), 409, "body:6: Server/web-4: entries[4]: is managed by cloud, and is left alone"},
		{"owner", "", list(4, 5), 409, "body:2: Server/web-4: entries[0]: is managed by cloud"},
		// A broken rule of the list itself and one that the objects know of, at once.
		{"owner", "", list(0, 2) + "Web,web,10.0.0.1,az1\nweb-9,web,10.0.0.1,az9\n", 400, `body:5: Server/web-9: entries[3].zone: Zone "az9" does not exist`},
		{"owner", "", list(0, 2) + "Web,web,10.0.0.1,az1\nweb-9,web,10.0.0.1,az9\n", 400, `body:4: entries[2].name: "Web" may hold only`},
		{"owner", "", `[{"name": "web-0", "role": "web", "address": "10.0.0.1", "zone": "az1"}`, 400, "ends in the middle: the export was cut short"},
	} {
		a := w.want(w.inventory(c.who, c.query, c.body), c.status)
		p := a.problem(t)
		text := p.Detail
		for _, one := range p.Errors {
			text += "\n" + one.String()
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%s %s %.60q: %s\nwant %s", c.who, c.query, c.body, text, c.want)
		}
	}
	w.want(w.do("owner", "POST", "/api/v1/inventory", "x", "Content-Type", "application/yaml"), 415)
	w.want(w.do("owner", "POST", "/api/v1/inventory", "x", "Content-Type", CSVType+"; charset=latin1"), 415)
	if w.everything() != before {
		t.Error("what is refused left something behind")
	}
}

// TestLongInventory: one call holds very many, and a second one changes nothing.
func TestLongInventory(t *testing.T) {
	t.Parallel()
	const many = 20_000
	w := newWorld(t)
	var b strings.Builder
	b.WriteString("name,role,address,zone,clusters\n")
	for i := range many {
		fmt.Fprintf(&b, "s%06d,web,10.%d.%d.%d,az1,c%d\n", i, 1+i>>16, i>>8&255, i&255, i/50)
	}
	first := read[InventoryAnswer](t, w.want(w.inventory("admin", "", b.String()), 200))
	again := read[InventoryAnswer](t, w.want(w.inventory("admin", "&replace=web", b.String()), 200))
	if first.Created != many || again.Unchanged != many || again.Revision != first.Revision {
		t.Errorf("created %d, then %d unchanged at revision %d", first.Created, again.Unchanged, again.Revision)
	}
	if n := w.store.View().Len("Server"); n != many {
		t.Errorf("%d servers", n)
	}
	if o := w.store.View().Get(weir.Ref{Kind: "Server", Name: "s019999"}); o == nil || o.Metadata.ManagedBy != weir.ManagedByInventory {
		t.Errorf("the last one is %+v", o)
	}
}
