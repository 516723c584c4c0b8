package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"weir/internal/discovery"
)

// wireList is a page of a list.
type wireList struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Metadata   struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	} `json:"metadata"`
	Items json.RawMessage `json:"items"`
}

// list reads all there is at one moment and its version, in pages of so many slices or, if that is 0, in one.
func (w *watcher) list(ctx context.Context, size int) (*view, string, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	v := newView()
	version, next := "", ""
	for pages := 0; ; pages++ {
		page, err := w.page(ctx, size, next)
		if err != nil {
			return nil, "", err
		}
		if version != "" && page.Metadata.ResourceVersion != version {
			err = fmt.Errorf("the pages are of different moments, %s and %s; nothing of it is taken", quote(version), quote(page.Metadata.ResourceVersion))
		}
		if err == nil {
			err = w.gather(v, page)
		}
		if err == nil && pages >= maxSlices {
			err = fmt.Errorf("over %d pages: %w", maxSlices, discovery.ErrTooMuch)
		}
		if err != nil {
			return nil, "", &problem{text: w.asked("list"), err: err, anew: true}
		}
		if version, next = page.Metadata.ResourceVersion, page.Metadata.Continue; next == "" {
			return v, version, nil
		}
	}
}

// page asks for one page of a list.
func (w *watcher) page(ctx context.Context, size int, next string) (*wireList, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	q := w.query()
	if size > 0 {
		q.Set("limit", strconv.Itoa(size))
	}
	if next != "" {
		q.Set("continue", next)
	}
	resp, err := w.get(ctx, "list", q)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	page, err := readPage(resp.Body)
	if errors.Is(err, discovery.ErrTooMuch) {
		err = fmt.Errorf("%w; make the pages smaller", err)
	}
	if err != nil {
		return nil, &problem{text: w.asked("list"), err: inTime(err), anew: true}
	}
	return page, nil
}

func readPage(r io.Reader) (*wireList, error) {
	b, err := io.ReadAll(&bounded{r: r, left: discovery.MaxAnswer})
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w; nothing of it is taken", err)
	}
	var l wireList
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, fmt.Errorf("read the answer: %w; nothing of it is taken", err)
	}
	if l.Kind != "EndpointSliceList" || l.APIVersion != apiVersion || l.Metadata.ResourceVersion == "" || l.Items == nil {
		return nil, fmt.Errorf("the answer is %s of %s, not an EndpointSliceList of %s with its version and items",
			quote(l.Kind), quote(l.APIVersion), apiVersion)
	}
	return &l, nil
}

// gather puts the slices of a page into v.
func (s *Source) gather(v *view, page *wireList) error {
	var items []endpointSlice
	if err := json.Unmarshal(page.Items, &items); err != nil {
		return fmt.Errorf("read the answer: %w; nothing of it is taken", err)
	}
	for i := range items {
		one, err := s.parse(&items[i])
		if err != nil {
			return fmt.Errorf("item %d is %w; nothing of it is taken", i+1, err)
		}
		if v.slices[one.key()] != nil {
			return fmt.Errorf("endpoint slice %s is in the list twice; nothing of it is taken", one.key())
		}
		if err := v.put(one); err != nil {
			return err
		}
	}
	return nil
}

// parse takes a slice if it is one that was asked for.
func (s *Source) parse(o *endpointSlice) (*slice, error) {
	one, err := o.parse()
	if err != nil {
		return nil, err
	}
	if s.c.Namespace != "" && one.namespace != s.c.Namespace || s.c.Service != "" && one.service != s.c.Service {
		return nil, fmt.Errorf("endpoint slice %s of service %s, which was not asked for", one.key(), quote(one.service))
	}
	return one, nil
}

// forgotten says whether the server no longer has the moment that was asked about.
func forgotten(code int, reason string) bool {
	return code == http.StatusGone || reason == "Expired" || reason == "Gone"
}
