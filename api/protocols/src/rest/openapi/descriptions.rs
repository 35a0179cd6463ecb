//! What the operations do, in a sentence or two; by their names, for those that say no more beside their handler.

/// The description of the operation of this name.
pub(super) fn of(id: &str) -> Option<&'static str> {
    DESCRIPTIONS.iter().find(|(name, _)| *name == id).map(|(_, description)| *description)
}

/// The names of operations, and what they do.
pub(super) const DESCRIPTIONS: &[(&str, &str)] = &[
    // Computers.
    ("listComputers", "Lists the computers that the caller may see, ordered by reference, page by page."),
    (
        "enterComputer",
        "Registers a computer. With a `title` the server chooses the reference, and answers 200 with the computer that has \
         this title already; with a `reference` that is taken it answers 409.",
    ),
    (
        "showComputer",
        "Shows a computer with its partitions, what they hold, and the software supplied to it.",
    ),
    (
        "describeComputer",
        "Changes the title and the attributes, which filters of requests compare. Members that are left out stay as they are; \
         null removes one.",
    ),
    (
        "setAllocationScope",
        "Sets who may have instances allocated on the computer, how many it takes, and which software it takes.",
    ),
    (
        "bangComputer",
        "Marks every instance on the computer as changed, so that its node processes all of them again.",
    ),
    (
        "revokeComputerCertificate",
        "Revokes the certificate of the computer. Its node is refused until it is issued another one.",
    ),
    (
        "configureComputer",
        "Replaces the address and the partitions of the computer, as `slapos node format` reports them.",
    ),
    // Software.
    (
        "supplySoftware",
        "Requests that a software release be installed on a computer, or removed from it. The node of the computer does it.",
    ),
    (
        "reportSoftware",
        "Records what a node reports of a release: building, available, destroyed, or an error.",
    ),
    (
        "listProducts",
        "Lists the software products with their publishers and their best releases, ordered by name, page by page.",
    ),
    (
        "publishSoftware",
        "Publishes a release as the best one of a product. The first publisher of a product owns its name.",
    ),
    (
        "listSoftware",
        "Lists the software releases with the computers that have them, ordered by address, page by page.",
    ),
    (
        "showSoftwareSchema",
        "Shows the JSON schema of the parameters of a release, as its provider supplied it. The server never fetches one.",
    ),
    (
        "supplySoftwareSchema",
        "Describes the parameters of a release by a JSON schema. The first supplier of a release is the only one.",
    ),
    (
        "listCatalogue",
        "Lists the entries of the catalogue with what the log shows of their software, ordered by name, page by page. Stories \
         are listed to those who may see their customer.",
    ),
    ("showCatalogueEntry", "Shows an entry of the catalogue, and what the log shows of its software."),
    (
        "recordCatalogueEntry",
        "Records an entry of the catalogue, or replaces what it says. Members that are left out are removed.",
    ),
    (
        "removeCatalogueEntry",
        "Removes an entry of the catalogue. The events that recorded it stay in the log.",
    ),
    // Instances.
    (
        "listInstanceTrees",
        "Lists the trees of instances that the caller may see, ordered by the id of their roots, page by page.",
    ),
    (
        "countInstances",
        "Counts the trees of instances that the caller may see, by what is seen of their roots: started, stopped, ended, or \
         wrong, if somebody has to look after one.",
    ),
    ("showInstanceTree", "Shows a tree: its root with all it has, and the instances below it."),
    (
        "listInstances",
        "Lists the instances that the caller may see, living or destroyed, ordered by id, page by page.",
    ),
    (
        "requestInstance",
        "Requests an instance, and allocates it to a free partition that meets the filter. An instance that has the title \
         already is changed instead.",
    ),
    (
        "showInstance",
        "Shows an instance with its parameters and connection parameters, where it is allocated, and what its node reports.",
    ),
    (
        "changeInstance",
        "Changes the requested software, state or parameters. Members that are left out stay as they are.",
    ),
    ("bangInstance", "Marks every instance of the tree as changed, so that nodes process all of them again."),
    (
        "setConnectionParameters",
        "Replaces the connection parameters, by which the requester reaches the instance. Its node sets them.",
    ),
    (
        "renameInstance",
        "Changes the title of an instance. A requester cannot have two instances of one title.",
    ),
    (
        "reportInstance",
        "Records the state that a node reports of an instance: started, stopped, destroyed, or an error.",
    ),
    // Usage.
    (
        "reportUsage",
        "Records usage from a TioXML document, or from CloudEvents in JSON. Events are answered one by one.",
    ),
    (
        "readUsage",
        "Shows the metered usage of an instance and a resource in a period, in steps of an hour, a day or a month.",
    ),
    (
        "listUsageGaps",
        "Lists what may be missing before a period is invoiced: silent computers, missing reports, and suspended usage.",
    ),
    (
        "listSuspendedUsage",
        "Lists reported usage that cannot be metered, with the reason, ordered by sequence, page by page.",
    ),
    ("dismissSuspendedUsage", "Decides that suspended usage is never metered, and records the reason."),
    (
        "resolveSuspendedUsage",
        "Corrects the members of suspended usage that were wrong, and meters it. It keeps the identity it was reported with.",
    ),
    // Prices.
    ("listPriceBooks", "Lists the price books with their newest version, ordered by name, page by page."),
    (
        "publishPriceBook",
        "Publishes a price book, in JSON or TOML, as the next version of its name. Published versions never change.",
    ),
    (
        "showPriceBook",
        "Shows a version of a price book, the newest unless `version` names another, and lists the versions there are.",
    ),
    // Invoices.
    (
        "listCharges",
        "Lists the one-off charges with the documents that have them, the oldest first, page by page.",
    ),
    (
        "recordCharge",
        "Records a one-off charge, or a discount if the amount is below zero. The next invoice of the customer has it.",
    ),
    ("showCharge", "Shows a one-off charge, and the draft or document that has it."),
    (
        "listDiscounts",
        "Lists the discounts that customers have by the price books that apply now, customer by customer, page by page.",
    ),
    (
        "redeemDiscountCode",
        "Gives a customer the discounts of a code from the beginning of this month on. Repeating it changes nothing.",
    ),
    (
        "grantCredit",
        "Records prepaid credit of a customer. The next invoices are paid from it, the oldest credit first.",
    ),
    ("showCredit", "Shows a prepaid credit, what is left of it, and the documents that used it."),
    ("withdrawCredit", "Withdraws what is left of a prepaid credit, and records the reason."),
    (
        "previewInvoices",
        "Rates the usage so far and shows the drafts that a run would have. Nothing is recorded, and nothing is reserved.",
    ),
    (
        "listInvoiceRuns",
        "Lists the invoice runs with their state, in the order in which they were opened, page by page.",
    ),
    (
        "openInvoiceRun",
        "Opens a run for a period and makes a draft for each payer. Drafts stay as they are until the run is refreshed, \
         finalised or withdrawn.",
    ),
    (
        "showInvoiceRun",
        "Shows a run with its period, its state, its drafts and documents, and what it warns of.",
    ),
    (
        "diffInvoiceRun",
        "Rates the run again from all that is known by now, and lists the lines that differ with the events that cause it.",
    ),
    (
        "finaliseInvoiceRun",
        "Issues an invoice for each draft of the run, numbered without gaps. Repeating it changes nothing.",
    ),
    (
        "refreshInvoiceRun",
        "Replaces the drafts of the run by drafts from all that is known by now. A run that issued documents is refused.",
    ),
    ("withdrawInvoiceRun", "Withdraws the drafts of the run. Documents that it issued stay as they are."),
    ("listInvoices", "Lists drafts, invoices and credit notes, ordered by run and payer, page by page."),
    ("showInvoice", "Shows a draft or document with its lines, sums, tax, and the credit notes about it."),
    (
        "creditInvoice",
        "Issues a credit note for some lines of an invoice, each fully or partly. At most what was charged can be credited.",
    ),
    (
        "explainInvoice",
        "Explains how each line was calculated: the quantity, the prices, the rounding, and the sums, page by page.",
    ),
    (
        "correctInvoiceLine",
        "States the right amount of a line. The server issues a credit note, or records a charge for the next invoice.",
    ),
    ("listLineEvents", "Lists the events from which a line was calculated, in their order, page by page."),
    (
        "explainLine",
        "Explains how a line was calculated, with the events it was calculated from, so that it can be repeated by hand.",
    ),
    (
        "voidInvoice",
        "Issues a credit note for all that is left of an invoice. Its period can be invoiced again.",
    ),
    // Parties.
    ("listParties", "Lists the parties, in the order in which they were registered, page by page."),
    ("registerParty", "Registers a party, which may request instances, sell, or pay."),
    ("showParty", "Shows a party: what documents print of it, its time zone, and how it is taxed."),
    (
        "changeParty",
        "Changes the details that documents print, or the time zone in which months begin. Members that are left out stay.",
    ),
    (
        "setTaxTreatment",
        "Sets how a seller taxes a customer from an instant on: the tax category, and the reason where there is no tax.",
    ),
    (
        "setProductTax",
        "Sets the tax that a seller charges for a software release or a resource from an instant on, in place of its rate.",
    ),
    ("setTaxRate", "Sets the rate of a tax category that a seller charges from an instant on."),
    // Books.
    (
        "listAccountingPeriods",
        "Lists the accounting periods that are closed, the oldest first, page by page.",
    ),
    (
        "listAccounts",
        "Lists the accounts of a seller that have transactions, with their balances, page by page.",
    ),
    (
        "showTrialBalance",
        "Shows the balance of every account of a seller, at an instant or now. The balances add up to zero.",
    ),
    // Access.
    (
        "listCredentials",
        "Lists the credentials that the caller may see, ordered by id, page by page. Secrets are never shown.",
    ),
    ("showCredential", "Shows a credential: its holder, its roles, what it is for, and when it expires."),
    (
        "issueToken",
        "Issues a token to a holder, with roles and an expiry. The answer holds it, and it cannot be read again.",
    ),
    ("listProjects", "Lists the projects, in the order in which they were created, page by page."),
    (
        "openProject",
        "Creates a project, a tenant whose computers, instances and documents no other project sees.",
    ),
    // The log.
    (
        "listEvents",
        "Lists the recorded events, in their order, page by page. Sealed values show their key and digest.",
    ),
    (
        "listProjections",
        "Lists the projections with the sequence they reflect, and a digest of each that is computed now.",
    ),
    (
        "rebuildProjection",
        "Rebuilds a projection from the log beside the one in use, compares both, and replaces it if they are equal.",
    ),
    (
        "listGenerations",
        "Lists the generation of a projection that answers readers, and the one aside, with its progress.",
    ),
    ("cancelRebuild", "Stops a rebuild, or discards a generation that waits for a swap."),
    ("swapRebuilt", "Replaces the live generation by the one that waits, also if they differ."),
    ("confirmRebuilt", "Discards the previous generation, which cannot be swapped back any more."),
    ("swapBack", "Replaces the live generation by the previous one, once that is level with the log."),
    // The server.
    ("describe", "Answers with this document. It is the same for all callers."),
    (
        "health",
        "Answers 200 while nothing is wrong that needs a restart or an operator, and otherwise 503 with the faults.",
    ),
    (
        "readiness",
        "Answers 200 while requests are answered in time, and otherwise 503. A load balancer may ask it.",
    ),
    (
        "showClock",
        "Shows whether the server trusts its clock, and if not, why. Without trust nothing is recorded.",
    ),
];
