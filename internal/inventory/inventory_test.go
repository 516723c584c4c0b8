package inventory

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"weir"
)

const sameList = `[
  {"name": "web-1", "role": "web", "address": "10.0.0.1", "zone": "az1", "clusters": ["blue", "shop"], "ports": {"http": 8080, "admin": 9000}, "weight": 50, "labels": {"rack": "r12"}},
  {"name": "web-2", "role": "web", "address": "2001:db8::2", "zone": "az2"}
]`

const sameCSV = "\ufeffName,role,zone,address,clusters,ports,weight,labels\r\n" +
	"web-1,web,az1,10.0.0.1,blue;shop,http=8080 admin=9000,50,rack=r12\r\n" +
	"\"web-2\",web, az2 ,2001:db8::2,,,,\r\n"

func TestFormsMeanTheSame(t *testing.T) {
	t.Parallel()
	fromJSON, err := ReadJSON("body", strings.NewReader(sameList))
	if err != nil {
		t.Fatal(err)
	}
	fromCSV, err := ReadCSV("body", strings.NewReader(sameCSV))
	if err != nil {
		t.Fatal(err)
	}
	if list, _ := fromCSV.Problems(); len(list) > 0 || fromCSV.Len() != 2 || fromJSON.Len() != 2 {
		t.Fatalf("%d and %d servers, %v", fromJSON.Len(), fromCSV.Len(), list)
	}
	for i, o := range fromJSON.objects {
		if a, b := fmt.Sprintf("%+v %+v", o.Metadata, *o.Spec.(*weir.Server).Weight), fmt.Sprintf("%+v %+v", fromCSV.objects[i].Metadata, *fromCSV.objects[i].Spec.(*weir.Server).Weight); a != b {
			t.Errorf("JSON gives %s, CSV %s", a, b)
		}
	}
	first := fromCSV.objects[0].Spec.(*weir.Server)
	if first.Address != netip.MustParseAddr("10.0.0.1") || first.Ports["admin"] != 9000 || !slices.Equal(first.Clusters, []string{"blue", "shop"}) {
		t.Errorf("read as %+v", first)
	}
	if m := fromCSV.objects[0].Metadata; m.ManagedBy != "inventory" || m.Labels["rack"] != "r12" {
		t.Errorf("read as %+v", m)
	}
}

func TestEverythingWrongIsToldAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		read func(string, io.Reader) (*List, error)
		text string
		want []string
	}{
		{"JSON", ReadJSON, `[
{"name": "web-1", "role": "web", "address": "10.0.0.1", "zone": "az1"},
{"name": "web-1", "role": "web", "address": "10.0.0.2", "zone": "az1"},
{"name": "web-3", "role": "web", "adress": "10.0.0.3",
  "weight": "heavy", "zone": "az1"},
{"name": "Web 4", "address": "10.0.0.4", "ports": {"http": 99999}},
7,
{"name": "web-6", "role": "web", "address": "0.0.0.0", "zone": "az1", "weight": 300, "labels": {"a": "x y"}}
]`, []string{
			`body:3: Server/web-1: entries[1].name: is there twice: entries[0] in line 2 has it already`,
			`body:4: Server/web-3: entries[2].adress: is no field here; the fields are address, clusters, labels, name, ports, role, weight, zone`,
			`body:5: Server/web-3: entries[2].weight: "heavy" must be a whole number`,
			`body:4: Server/web-3: entries[2].address: must be one unicast address, such as 10.1.20.17 or 2001:db8::17; names are resolved by discovery, not here`,
			`body:6: entries[3].ports.http: "99999" is no port; ports are 1 to 65535`,
			`body:6: entries[3].role: is required: pools select servers by their role`,
			`body:6: entries[3].name: "Web 4" may hold only a-z, 0-9, '-' and '_', and must begin and end with a letter or digit`,
			`body:6: entries[3].zone: is required`,
			`body:7: entries[4]: must be a mapping`,
			`body:8: Server/web-6: entries[5].labels[a]: "x y" holds ' ', which is not allowed here`,
			`body:8: Server/web-6: entries[5].address: must be one unicast address, such as 10.1.20.17 or 2001:db8::17; names are resolved by discovery, not here`,
			`body:8: Server/web-6: entries[5].weight: 300 is outside 0 to 256`,
		}},
		{"CSV", ReadCSV, "name,role,address,zone,weight,ports,labels\n" +
			"web-1,web,10.0.0.1,az1,,,\n" +
			"web-2,,10.0.0.2,az1,,,\n" +
			"web-3,web,somewhere,az1,heavy,8080,rack\n" +
			"\"web-1\",web,10.0.0.4,,,\"http=1\nhttp=2\",\n" +
			"web-6,web,,az1,,http=1;http=2,a=b a=c\n", []string{
			`body:3: Server/web-2: entries[1].role: is required: pools select servers by their role`,
			`body:4: Server/web-3: entries[2].address: "somewhere" is no IP address`,
			`body:4: Server/web-3: entries[2].weight: "heavy" must be a whole number`,
			`body:4: Server/web-3: entries[2].ports: "8080" must be a name and a port, as http=8080`,
			`body:4: Server/web-3: entries[2].labels: "rack" must be a key and a value, as rack=r12`,
			`body:5: Server/web-1: entries[3].ports: "http" is set twice`,
			`body:5: Server/web-1: entries[3].name: is there twice: entries[0] in line 2 has it already`,
			`body:5: Server/web-1: entries[3].zone: is required`,
			`body:7: Server/web-6: entries[4].address: is required`,
			`body:7: Server/web-6: entries[4].ports: "http" is set twice`,
			`body:7: Server/web-6: entries[4].labels: "a" is set twice`,
		}},
	} {
		l, err := c.read("body", strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		list, more := l.Problems()
		var got []string
		for _, p := range list {
			got = append(got, p.String())
		}
		if !slices.Equal(got, c.want) || more != 0 {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

func TestWhatIsNoListIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		read       func(string, io.Reader) (*List, error)
		text, want string
	}{
		{ReadJSON, ``, "body:1: ends in the middle"},
		{ReadJSON, `{"name": "x"}`, "body:1: must be a list of servers"},
		{ReadJSON, "[\n{\"name\": \"web-1\"},\n{\"na", "body:3: ends in the middle"},
		{ReadJSON, "[\n{\"name\": \"web-1\"}\n{}]", "body:2: is not JSON from here on"},
		{ReadJSON, "[]\n\n[]", "body:3: there is more behind the list"},
		{ReadCSV, ``, "body:1: is empty"},
		{ReadCSV, "name,role,address\n", "body:1: column zone is missing"},
		{ReadCSV, "name,role,address,zone,rack\n", `body:1: there is no field "rack" for that column`},
		{ReadCSV, "name,role,address,zone,Name\n", "body:1: column name is there twice"},
		{ReadCSV, "name,role,address,zone\nweb-1,web,10.0.0.1\n", "body:2: has another number of fields than the first line"},
		{ReadCSV, "name,role,address,zone\nweb-1,web,\"10.0.0.1,az1\n", "body:2: extraneous or missing \" in quoted-field"},
		{ReadCSV, "name,role,address,zone\n" + strings.Repeat("x,web,10.0.0.1,az1\n", MostEntries+1), "body:100002: more than 100000 servers in one call"},
	} {
		_, err := c.read("body", strings.NewReader(c.text))
		var refused *weir.Error
		if !errors.As(err, &refused) || len(refused.Problems) != 1 || !strings.Contains(refused.Problems[0].String(), c.want) {
			t.Errorf("%.40q: %v, want %q", c.text, err, c.want)
		}
	}
	gone := errors.New("the sender went away")
	if _, err := ReadJSON("body", io.MultiReader(strings.NewReader("[{"), broken{gone})); !errors.Is(err, gone) {
		t.Errorf("a reader that fails: %v", err)
	}
	if _, err := ReadCSV("body", broken{gone}); !errors.Is(err, gone) {
		t.Errorf("a reader that fails: %v", err)
	}
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// TestProblemsAreBounded: an export whose every line is wrong is told of, not repeated.
func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	l, err := ReadCSV("body", strings.NewReader("name,role,address,zone\n"+strings.Repeat(",,,\n", 5000)))
	if err != nil {
		t.Fatal(err)
	}
	if list, more := l.Problems(); len(list) != mostProblems || more < 1000 {
		t.Errorf("%d problems and %d more", len(list), more)
	}
}

// TestEntriesAreBounded: one that is a list by itself is refused before anything is made of it.
func TestEntriesAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("c;", maxEntry/2)
	byCSV, errCSV := ReadCSV("body", strings.NewReader("name,role,address,zone,clusters\na,web,10.0.0.1,az1,"+long+"\n"))
	byJSON, errJSON := ReadJSON("body", strings.NewReader(`[{"name":"a","role":"web","address":"10.0.0.1","zone":"`+long+`"}]`))
	if errCSV != nil || errJSON != nil {
		t.Fatal(errCSV, errJSON)
	}
	for _, l := range []*List{byCSV, byJSON} {
		if list, more := l.Problems(); len(list) != 1 || more != 0 || !strings.Contains(list[0].Message, "bytes long; one server has at most 65536") || l.Len() != 0 {
			t.Errorf("got %v", list)
		}
	}
}

// TestMemoryIsBounded: what is kept of a list is its objects.
func TestMemoryIsBounded(t *testing.T) {
	const entries = 20_000
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "[")
		for i := range entries {
			comma := ","
			if i == 0 {
				comma = ""
			}
			_, _ = fmt.Fprintf(w, "%s\n{\"name\":\"s%06d\",\"role\":\"web\",\"address\":\"10.%d.%d.%d\",\"zone\":\"az1\",\"clusters\":[\"c%d\"],\"ports\":{\"http\":8080}}", comma, i, i>>16, i>>8&255, i&255, i/50)
		}
		_, _ = io.WriteString(w, "\n]")
		_ = w.Close()
	}()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l, err := ReadJSON("body", r)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if list, _ := l.Problems(); l.Len() != entries || len(list) > 0 {
		t.Fatalf("%d entries, %v", l.Len(), list)
	}
	if each := (after.HeapAlloc - before.HeapAlloc) / entries; each > 2048 {
		t.Errorf("an entry takes %d bytes", each)
	}
	runtime.KeepAlive(l)
}
