package series

import (
	"encoding/binary"
	"slices"
)

// object is one object's hour.
type object struct {
	// spans are the steps in which it was seen.
	spans []span
	// open are the steps that may still be added to, in the order of steps and columns.
	open []cell
	// chunks are the older ones, as bytes.
	chunks []chunk
}

// span is from a step to a step, both included.
type span struct{ from, until int32 }

// cell is one value in one step.
type cell struct {
	step   int32
	column Column
	n      uint64
}

// chunk holds the steps of some minutes. Each that is not empty is its distance from the first one, how many values it
// has, and of each the distance of its column from the one before and the number: all of them as varints.
type chunk struct {
	first, last int32
	data        []byte
}

const (
	// chunkSteps is how many steps a chunk spans.
	chunkSteps = 36
	// maxSpans bounds how often in an hour an object may come and go and be remembered so.
	maxSpans = 32
)

func (c cell) before(o cell) int {
	if c.step != o.step {
		return int(c.step - o.step)
	}
	return int(c.column) - int(o.column)
}

// add adds what part gives of each value to a step that is open.
func (o *object) add(step int32, part func(uint64) uint64, list Values) {
	for _, v := range list {
		if n := part(v.N); n > 0 && !v.Column.measured() {
			o.at(step, v.Column).n += n
		}
	}
}

// set takes over the measures among values.
func (o *object) set(step int32, list Values) {
	for _, v := range list {
		if v.Column.measured() {
			o.at(step, v.Column).n = v.N
		}
	}
}

// at finds the cell of a column in a step that is open, or makes it.
func (o *object) at(step int32, column Column) *cell {
	c := cell{step: step, column: column}
	at, ok := slices.BinarySearchFunc(o.open, c, cell.before)
	if !ok {
		o.open = slices.Insert(o.open, at, c)
	}
	return &o.open[at]
}

func (o *object) know(from, until int32) {
	if n := len(o.spans); n > 0 && from <= o.spans[n-1].until+1 {
		last := &o.spans[n-1]
		last.from, last.until = min(last.from, from), max(last.until, until)
		return
	}
	o.spans = append(o.spans, span{from, until})
	if len(o.spans) > maxSpans {
		o.spans = slices.Delete(o.spans, 0, 1)
	}
}

// known says whether the object was seen in a step.
func (o *object) known(step int32) bool {
	for i := len(o.spans) - 1; i >= 0; i-- {
		if s := o.spans[i]; step >= s.from {
			return step <= s.until
		}
	}
	return false
}

// seal turns the open steps up to one into bytes.
func (o *object) seal(until int32) {
	n := 0
	for n < len(o.open) && o.open[n].step <= until {
		end := n
		for end < len(o.open) && o.open[end].step == o.open[n].step {
			end++
		}
		o.write(o.open[n:end])
		n = end
	}
	if n > 0 {
		o.open = slices.Clip(slices.Clone(o.open[n:]))
	}
}

// write appends one step to the last chunk.
func (o *object) write(cells []cell) {
	step, last := cells[0].step, len(o.chunks)-1
	if last < 0 || step-o.chunks[last].first >= chunkSteps {
		if last >= 0 {
			o.chunks[last].data = slices.Clip(slices.Clone(o.chunks[last].data))
		}
		o.chunks = append(o.chunks, chunk{first: step})
		last++
	}
	c := &o.chunks[last]
	c.last = step
	c.data = binary.AppendUvarint(c.data, uint64(step-c.first))
	c.data = binary.AppendUvarint(c.data, uint64(len(cells)))
	column := Column(0)
	for _, one := range cells {
		c.data = binary.AppendUvarint(c.data, uint64(one.column-column))
		c.data = binary.AppendUvarint(c.data, one.n)
		column = one.column
	}
}

// forget drops what is older than a step, and says whether nothing is left.
func (o *object) forget(oldest int32) bool {
	o.chunks = slices.DeleteFunc(o.chunks, func(c chunk) bool { return c.last < oldest })
	o.spans = slices.DeleteFunc(o.spans, func(s span) bool { return s.until < oldest })
	return len(o.chunks)+len(o.spans)+len(o.open) == 0
}

// back drops what is after a step, and says whether nothing is left.
func (o *object) back(last int32) bool {
	o.open = nil
	for i := range o.chunks {
		if c := o.chunks[i]; c.last > last {
			c.each(c.first, last, func(step int32, column Column, n uint64) {
				o.open = append(o.open, cell{step, column, n})
			})
			o.chunks = o.chunks[:i] // those that follow are later still
			break
		}
	}
	o.seal(last)
	o.spans = slices.DeleteFunc(o.spans, func(s span) bool { return s.from > last })
	for i := range o.spans {
		o.spans[i].until = min(o.spans[i].until, last)
	}
	return len(o.chunks)+len(o.spans) == 0
}

// each gives every value in a range of steps, both included, in the order of the steps.
func (o *object) each(from, until int32, yield func(step int32, c Column, n uint64)) {
	for _, c := range o.chunks {
		if c.last < from || c.first > until {
			continue
		}
		c.each(from, until, yield)
	}
	for _, c := range o.open {
		if c.step >= from && c.step <= until {
			yield(c.step, c.column, c.n)
		}
	}
}

func (c *chunk) each(from, until int32, yield func(step int32, c Column, n uint64)) {
	for data := c.data; len(data) > 0; {
		gap, n := binary.Uvarint(data)
		data = data[n:]
		count, n := binary.Uvarint(data)
		data = data[n:]
		step, column := c.first+int32(gap), Column(0)
		for range count {
			distance, n := binary.Uvarint(data)
			data = data[n:]
			value, n := binary.Uvarint(data)
			data = data[n:]
			column += Column(distance)
			if step >= from && step <= until {
				yield(step, column, value)
			}
		}
	}
}
