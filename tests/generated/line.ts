// Reads every member of an invoice line through the type that openapi-typescript generates. `tsc` checks it; nothing runs.
import type { components } from "./schema";
import { lines } from "./lines";

type Line = components["schemas"]["LineForm"];
type Kind = Line["kind"];

// Every member of the type, and no other: a new one is an error here until it is read below.
const members: Record<keyof Line, true> = {
    n: true, kind: true, resource: true, charge: true, instance: true, dimensions: true, description: true, period: true,
    local_period: true, quantity: true, unit: true, unit_price: true, steps: true, amount: true, residue: true, price_book: true, rate: true,
    price_override: true, net: true, reduces: true, tax: true, events: true, cites: true,
};

// Every kind, and no other.
const kinds: Record<Kind, true> = {
    recurring: true, usage: true, advance: true, percentage: true, minimum: true, adjustment: true, one_off: true, correction: true,
    discount: true, maximum: true,
};

function read(line: Line): void {
    const n: number = line.n;
    const kind: Kind = line.kind;
    const resource: string | undefined = line.resource;
    const charge: string | undefined = line.charge;
    const instance: string | null | undefined = line.instance;
    const dimensions: { [key: string]: string } | undefined = line.dimensions;
    const description: string = line.description;
    const start: string = line.period.start, stop: string = line.period.stop;
    const local_period: string = line.local_period;
    const quantity: string = line.quantity;
    const unit: string = line.unit;
    const unit_price: string | null = line.unit_price;
    for (const step of line.steps ?? []) {
        const of: string = step.quantity, price: string = step.price, flat: string = step.flat;
        const up_to: string | null | undefined = step.up_to;
        void [of, price, flat, up_to];
    }
    const amount: string = line.amount;
    const residue: string = line.residue, net: string | null | undefined = line.net;
    const reduces: "all" | { fee: string } | { resource: string } | null | undefined = line.reduces;
    const book: string | undefined = line.price_book?.name, version: number | undefined = line.price_book?.version;
    const rate: number | null | undefined = line.rate, price_override: string | null | undefined = line.price_override;
    const category: "O" | "S" | "Z" | "E" | "AE" | "K" | "G" = line.tax.category, percent: string = line.tax.rate;
    const count: number = line.events.count, first: number = line.events.first_sequence;
    const last: number = line.events.last_sequence, digest: string = line.events.digest;
    const cited: string | undefined = line.cites?.invoice, of_line: number | undefined = line.cites?.line;
    void [n, kind, resource, charge, instance, dimensions, description, start, stop, local_period, quantity, unit, unit_price,
        amount, residue, net, reduces, book, version, rate, price_override, category, percent, count, first, last, digest, cited, of_line];
}

lines.forEach(read);
void [members, kinds];
