package inventory

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"weir"
)

// present has ten servers of role web by the inventory, five in each zone, and some that are not its own.
func present() *weir.Set {
	set := weir.NewSet()
	put := func(name, role, zone, by string) {
		set.Put(&weir.Object{Kind: "Server", Metadata: weir.Metadata{Name: name, Role: role, ManagedBy: by}, Spec: &weir.Server{Address: netip.MustParseAddr("10.0.0.1"), Zone: zone}})
	}
	for i := range 10 {
		put(fmt.Sprintf("web-%d", i), "web", fmt.Sprintf("az%d", 1+i/5), "inventory")
	}
	put("db-1", "db", "az1", "inventory")
	put("by-hand", "web", "az1", "")
	put("from-consul", "web", "az1", "discovery/consul")
	return set
}

func listOf(t *testing.T, names ...string) *List {
	t.Helper()
	text := "name,role,address,zone\n"
	for _, name := range names {
		text += name + ",web,10.0.0.1,az1\n"
	}
	l, err := ReadCSV("body", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func span(from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprintf("web-%d", i))
	}
	return names
}

func TestWhatGoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change Change
		want   string
	}{
		{"nothing is replaced", Change{List: listOf(t, "new"), Remove: -1}, ""},
		{"all are there", Change{List: listOf(t, span(0, 10)...), Replace: []string{"web"}, Remove: -1}, ""},
		{"half goes", Change{List: listOf(t, span(5, 10)...), Replace: []string{"web"}, Remove: -1}, "web-0 web-1 web-2 web-3 web-4"},
		{"more than half", Change{List: listOf(t, span(6, 10)...), Replace: []string{"web"}, Remove: -1}, "refused: the list would take away 6 of the 10 servers that the inventory has of role web (web-0, web-1, web-2 and others), which is more than half: look whether the export is whole; if it is meant, confirm the number: remove=6 (weir inventory apply --remove 6)"},
		{"it is confirmed", Change{List: listOf(t, span(6, 10)...), Replace: []string{"web"}, Remove: 6}, "web-0 web-1 web-2 web-3 web-4 web-5"},
		{"another number was confirmed", Change{List: listOf(t, span(6, 10)...), Replace: []string{"web"}, Remove: 7}, "refused: the list would take away 6 of the 10 servers that the inventory has of role web, not 7: look again what goes, and confirm that number"},
		{"an empty list", Change{List: listOf(t), Replace: []string{"web"}, Remove: -1}, "refused: the list would take away 10 of the 10"},
		{"one zone", Change{List: listOf(t, span(3, 5)...), Replace: []string{"web"}, Zone: "az1", Remove: 3}, "web-0 web-1 web-2"},
		{"the only one", Change{List: listOf(t), Replace: []string{"db"}, Remove: -1}, "refused: the list would take away 1 of the 1 servers that the inventory has of role db (db-1), which"},
		{"several roles", Change{List: listOf(t, span(0, 9)...), Replace: []string{"web", "db"}, Remove: -1}, "db-1 web-9"},
	} {
		writes, err := c.change.Writes(present())
		got := ""
		for _, w := range writes {
			if w.Put == nil {
				got = strings.TrimSpace(got + " " + w.Delete.Name)
			}
		}
		if err != nil {
			got = "refused: " + err.Error()
			if weir.KindOf(err) != weir.Conflict {
				t.Errorf("%s: refused as %q", c.name, weir.KindOf(err))
			}
		}
		if got != c.want && !(err != nil && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestSharingStaysAsItIs(t *testing.T) {
	t.Parallel()
	set, list := present(), listOf(t, "web-1")
	shared := *set.Get(weir.Ref{Kind: "Server", Name: "web-1"})
	shared.Metadata.ShareWith = []string{"db"}
	set.Put(&shared)
	writes, err := (&Change{List: list, Remove: -1}).Writes(set)
	if err != nil || len(writes) != 1 || len(writes[0].Put.Metadata.ShareWith) != 1 {
		t.Errorf("%+v, %v", writes, err)
	}
	if len(list.objects[0].Metadata.ShareWith) != 0 {
		t.Error("the list was changed: a second try would work on another one")
	}
}

func TestWhatIsOutsideIsRefused(t *testing.T) {
	t.Parallel()
	l := listOf(t, "web-1")
	(&Change{List: l, Replace: []string{"db"}, Zone: "az2"}).Outside()
	list, _ := l.Problems()
	if len(list) != 2 || list[0].Path != "entries[0].role" || list[1].Path != "entries[0].zone" {
		t.Errorf("%v", list)
	}
}

func TestServersOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	set := present()
	for name, want := range map[string]string{
		"web-1": "", "nobody": "",
		"by-hand":     "Server/by-hand: was made by a person, and is left alone",
		"from-consul": "Server/from-consul: is managed by discovery/consul, and is left alone",
	} {
		err := MayWrite(set.Get(weir.Ref{Kind: "Server", Name: name}))
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
