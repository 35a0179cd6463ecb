# Les textes des pages. Les clés sont celles de l’anglais ; un test les compare.

## Cadre
skip = Aller au contenu
skip-form = Aller au formulaire
menu = Menu
nav-main = Navigation principale
nav-path = Chemin
nav-money = Argent
nav-cloud = Nuage
nav-metering = Usage
nav-ledger = Registre
nav-operation = Exploitation
nav-home = Vue d’ensemble
nav-invoices = Factures
nav-review = Revue du mois
nav-prices = Prix
nav-journal = Écritures
nav-balance = Balance générale
nav-instances = Instances
nav-computers = Ordinateurs
nav-catalogue = Catalogue
nav-usage = Événements d’usage
nav-log = Journal des événements
nav-projections = Projections
nav-credentials = Accès
mode-demo = démonstration
mode-proxy = proxy
mode-serve = serveur
colours = Couleurs
theme-auto = Auto
theme-light = Clair
theme-dark = Sombre
keep = Garder
local-only = Ouvert sur cette machine seulement : sans connexion
sign-out = Se déconnecter
as-of-told = Tel que c’était à la séquence { $sequence }, { $time }. Rien ne peut être modifié ici.
as-of-now = Afficher l’état actuel
read-at = Lu à la séquence { $sequence }, { $time }
times = Heures : { $zone }
times-buyer = Heures : { $zone } (client)
same-as-json = La même chose en JSON
none = aucun
to-home = Vers la vue d’ensemble
refused = Cela n’a pas été fait

## Connexion
sign-in = Se connecter
sign-in-to = Se connecter à Slapledger
sign-in-hint = La session se termine avec le jeton.
sign-in-ask = Demandez un jeton à un administrateur :
sign-in-certificate = Un navigateur muni d’un certificat client de ce serveur n’a pas besoin de jeton.
token = Jeton

## Problèmes
status-400 = La demande est incorrecte
status-401 = Connectez-vous d’abord
status-403 = Non autorisé
status-404 = Il n’y a rien ici
status-405 = Impossible ici
status-406 = Cette forme n’existe pas
status-409 = Impossible maintenant
status-412 = Modifié entre-temps
status-413 = Trop grand
status-429 = Trop de demandes
status-500 = Une erreur du serveur
status-503 = Indisponible pour le moment
status-507 = Plus de place

## États
state-draft = Brouillon
state-final = Définitive
state-open = ouverte
state-partly-credited = créditée en partie
state-credited = créditée
state-void = annulée
state-paid = payée
state-held = Retenue
state-overdue = En retard
state-requested = Demandée
state-started = Démarrée
state-stopped = Arrêtée
state-destroyed = Détruite
state-ended = Terminée
state-unplaced = Sans place
state-silent = Silencieux
state-current = À jour
state-missing = Manquant
state-suspended = En attente
state-accepted = Accepté
state-duplicate = Doublon
state-rejected = Rejeté
state-retired = Retiré
state-withdrawn = Retirée
state-free = Libre
state-busy = Occupée
state-lost = Perdue
state-error = Erreur
state-ok = En ordre

## Mots du registre
resource-cpu-load-percent = Charge CPU
resource-memory-used = Mémoire utilisée
resource-disk-used = Disque utilisé
resource-requests = Requêtes
resource-zero-emission-ratio = Part sans émission
unit-percent-hour = pour cent-heures
unit-mib-hour = MiB-heures
unit-request = requêtes
unit-month = mois
unit-day = jours
unit-hour = heures
fee-month = Abonnement mensuel
fee-day = Abonnement journalier
fee-hour = Abonnement horaire
fee-year = Abonnement annuel
line-kind-one-off = Frais unique
line-kind-percentage = Pourcentage
line-kind-minimum = Minimum
line-kind-discount = Remise
line-kind-maximum = Plafond
line-kind-adjustment = Régularisation
line-kind-credit = Avoir
line-kind-on-change = Frais de modification
instance-type-production = production
instance-type-testing = test
rounding-half-up = arrondi au plus proche
rounding-half-even = arrondi au pair le plus proche
reason-not-a-number = sans nombre
reason-unknown-subject = partition inconnue

## Facture
invoice-to-invoice = Facture à { $buyer } pour { $period }
invoice-to-credit_note = Avoir à { $buyer } pour { $period }
total-in = Total, { $currency }
due-on = { $amount } à payer le { $date }
since-event = depuis le { $date }, événement { $event }
draft-of = brouillon de { $run }
state = État
period = Période
lines = Lignes
line = Ligne
for-instances = { $count ->
    [0] pour aucune instance
    [one] pour une instance
   *[other] pour { $count } instances
 }
events = Événements derrière
events-short = Événements
event = Événement
sequences = séquences { $first } à { $last }
warnings = Avertissements
subtotal-of = Sous-total de { $tree }
subtotal-of-all = Sous-total de toutes les instances ensemble
made-of = De quoi elle se compose
part = Partie
share = Part
bar = Barre
document = Document
seller = Vendeur
buyer = Client
run = Facturation
run-cut-off = { $run }, arrêtée à la séquence { $sequence }
price-book = Tarif
book-version = { $name }, version { $version }
cites = Au sujet de
later-documents = Documents ultérieurs
follow-amount = Suivez un montant pour voir son calcul
number = Numéro
number-short = N°
what = Quoi
quantity = Quantité
unit = Unité
price = Prix
price-in = Prix, { $currency }
amount-in = Montant, { $currency }
in-steps = par paliers
on-place = sur { $computer } { $partition }
explain = Expliquer
net = Net
tax-of = Taxe, catégorie { $category }, { $rate } %
prepaid = Payé par crédit prépayé

## Une ligne dépliée
no-explanation = Il n’y a pas de ligne de ce numéro.
exact = exact
price-rate = Taux { $number } du tarif { $name }, version { $version }. Il compte à partir du { $from } et fut publié par l’événement { $event }.
price-each = Chaque unité coûte { $price } { $currency }.
seconds = Secondes
of-seconds = Sur secondes
sum-of-shares = Somme des parts
sum = Somme
level-sum = { $seconds } secondes fois niveau, divisées par 3 600 : { $quantity } { $unit }.
counter-sum = La somme de ce qui fut signalé : { $quantity } { $unit }.
as-table = La même chose en tableau
day = Jour
hour = Heure
level-seconds = Secondes fois niveau
chart-days = Par jour, { $unit }. Le jour le plus bas est le { $low } avec { $least }, le plus haut le { $high } avec { $most }.
chart-hours = { $day } par heure
taken-back = La ligne { $line } de { $invoice } a facturé { $charged } ; il en reste { $left }.
adjusted = { $run } a facturé { $charged } à l’état de la séquence { $then }. Ce serait maintenant { $now }.
by-hand = Ce montant a été saisi.
allocation = Allocation
is-on = { $instance }, { $title }, est sur { $computer } { $partition } depuis le { $start } (événement { $began }).
was-on = { $instance }, { $title }, était sur { $computer } { $partition } du { $start } (événement { $began }) au { $stop } (événement { $ended }).
events-behind = { $count ->
    [one] Un événement, séquence { $first }.
   *[other] { $count } événements, séquences { $first } à { $last }.
 }
sequence = Séquence
recorded = Enregistré
reported-period = Période signalée
value = Valeur
counted-from = compté à partir du { $time }
counted-until = compté jusqu’au { $time }
more-events = { $count ->
    [one] Encore un événement
   *[other] Encore { $count } événements
 }
digest = Empreinte des { $count } événements
rounding-tax = Arrondi et taxe
rounding-none = Rien n’a été arrondi.
rounding-added = L’arrondi a ajouté { $residue } { $currency }.
check = Contrôle
identical = Identique
rated-again = Recalculé à l’état de la séquence { $sequence }, l’arrêté de la facturation : même montant, mêmes événements.
not-rated-again = Raconté par la ligne seule
differs-now = Ce serait maintenant { $amount }, { $difference } { $currency }
nothing-since = Aucun événement ultérieur ne change cette ligne.

## Listes
tab-all = Toutes
tab-draft = Brouillons
tab-open = Ouvertes
tab-paid = Payées
tab-credited = Créditées
tab-void = Annulées
month = Mois
customer = Client
apply = Appliquer
clear = Effacer
any = Tous
next = Page suivante
shown = { $count ->
    [one] Une affichée
   *[other] { $count } affichées
 }
show = Montrer
issued = Émise
due = Échéance
total = Total
unpaid = Impayé
invoices-lede = Un document définitif ne change jamais. Un avoir corrige ce qui était faux.
of-customer = Documents de { $name }
no-invoices = Il n’y a pas de factures ici.
no-invoices-yet = Une facturation en fait des brouillons quand un mois est terminé.
no-match = Rien ne correspond à ces filtres.

## Vue d’ensemble
home-lede = Chaque montant mène à l’usage qui l’explique.
invoiced-in = Facturé, { $currency }
drafted-in = Pas encore facturé, { $currency }
month-in = { $month }, { $currency }
documents = { $count ->
    [one] Un document
   *[other] { $count } documents
 }
not-invoiced = non facturé
not-invoiced-short = Non facturé
invoiced = facturé
change = Évolution
unpaid-in = Impayé, { $currency }
of-this-month = de ce mois
nothing-in-month = Rien n’a été facturé pour { $month }.
nothing-in-month-yet = Des montants apparaissent dès qu’un prix s’applique à une instance ou à un usage.
what-is-wrong = Ce qui ne va pas
findings = { $count ->
    [0] Rien de trouvé
    [one] Un constat
   *[other] { $count } constats, le plus urgent d’abord
 }
finding-silent = { $count ->
    [one] Un ordinateur est silencieux depuis le { $since }.
   *[other] { $count } ordinateurs sont silencieux depuis le { $since }.
 }
finding-silent-then = L’usage de ce qui y tourne manque, et une facturation en avertirait.
open-computers = Voir les ordinateurs
finding-missing = { $computer } n’a jamais envoyé { $resources } du { $start } au { $stop }.
finding-missing-then = { $instances } : { $hours } heures ne sont pas facturées.
finding-suspended = { $count ->
    [one] Un événement d’usage de { $computers } n’est pas facturé : { $reasons }.
   *[other] { $count } événements d’usage de { $computers } ne sont pas facturés : { $reasons }.
 }
finding-suspended-then = Ils sont dans le journal, et attendent d’être corrigés ou écartés.
decide = Décider
finding-unbilled = { $count ->
    [one] { $month } n’a jamais été facturé à un client :
   *[other] { $month } n’a jamais été facturé à { $count } clients :
 }
finding-unbilled-then = Une facturation de ce mois en ferait des brouillons.
nothing-wrong = Tout est en ordre.
by-growth = Clients par croissance, { $currency }

## Événements d’usage
usage-lede = Ce que les ordinateurs ont signalé sans que ce soit facturé, et ce qu’ils n’ont jamais envoyé.
to-decide = À décider
reason = Raison
reason-future = dans le futur
reason-title-not-a-number = La quantité n’est pas un nombre
reason-title-unknown-subject = L’ordinateur n’a pas cette partition
reason-title-future = La période se termine après l’arrivée du rapport
computer = Ordinateur
instance = Instance
resource = Ressource
missing-in = Usage manquant en
outcome = Résultat
received = Reçu
source-subject = Source et sujet
suspended-note = Ils sont dans le journal et ne sont pas facturés.
suspended-event = L’événement { $sequence } est dans le journal et n’est pas facturé. En cause :
identity = Identité
would-be-charged = Serait facturé à
hours-around = Les heures voisines
suggested-dismiss = Conseil : écarter
dismiss = Écarter
again-reported = { $events ->
    [one] La même heure a été signalée à nouveau, avec { $value }. Corriger aussi cet événement facturerait l’heure deux fois.
   *[other] La même heure a été signalée à nouveau par { $events } événements, avec { $value }. Corriger aussi cet événement facturerait l’heure deux fois.
 }
dismiss-hint = Un événement écarté reste dans le journal et n’est jamais facturé.
reason-kept = Raison, gardée dans le journal
reason-again = la même heure a été signalée à nouveau
resolve-instead = Corriger et facturer plutôt
resolve = Corriger
subject = Partition ou instance
from-utc = Du, UTC
until-utc = Au, UTC
no-suspended = Aucun usage n’attend de décision.
no-suspended-then = Tout ce qui ne peut pas être facturé comme signalé apparaît ici.
missing-in-month = Manquant en { $month }
no-gaps = Aucun usage ne manque.
hours = Heures
gap-silent-computer = tout
done-usage-dismissed = L’événement a été écarté.
done-usage-resolved = L’événement a été corrigé, et il est facturé.

## Instances
instances-lede = Chaque client est une branche, chaque service demandé une feuille.
request-instance = Demander une instance
tab-instance-wrong = En défaut
tab-instance-started = Démarrées
tab-instance-stopped = Arrêtées
tab-instance-ended = Terminées
tab-instance-all = Toutes
name-or-number = Nom ou numéro
customer-and-instance = Client et instance
software = Logiciel
type = Type
place = Place
since = Depuis
instances-in-tree = Dans son arbre
reported-state = signalée : { $state }
state-none = rien encore
no-instances = Il n’y a pas d’instances ici.
no-instances-yet = Demandez-en une : elle démarre dès qu’une partition est libre.
software-release = Version du logiciel
name = Nom
parameters-json = Paramètres, en JSON
request = Demander
destroy-title = Détruire cette instance ?
destroy-what = { $count ->
    [one] Elle se termine, et ses données avec elle.
   *[other] Elle et les { $count } instances de son arbre se terminent, et leurs données avec elles.
 }
destroy-then = Son abonnement se termine quand son ordinateur signale qu’elle n’est plus là. L’usage jusque-là est facturé.
destroy = Détruire
keep-it = La garder
rename = Renommer
cancel = Annuler
stop = Arrêter
start = Démarrer
cost-of = Coût de { $month }
details = Détails
requester = Demandeur
requested-at = Demandée
reported-at = Signalée
rules-of-place = Règles de placement
parameters = Paramètres
connection = Connexion
show-connection = Montrer les paramètres de connexion
hidden-until-asked = Cachés jusqu’à ce que vous les demandiez.
levels-times-hours = Un niveau est montré en niveau fois heures.
no-usage = Aucun usage n’a été signalé.
in-this-tree = Dans cet arbre
done-instance-requested = L’instance a été demandée.
done-instance-changed = Le changement a été demandé.
done-instance-renamed = L’instance a été renommée.
done-instance-destroyed = Sa destruction a été demandée.

## Ordinateurs
computers-lede = Les machines qui offrent des partitions, les silencieuses d’abord.
silent-count = { $count ->
    [0] aucun n’est silencieux
    [one] un est silencieux
   *[other] { $count } sont silencieux
 }
partitions = Partitions
partitions-busy = Partitions occupées
partitions-free = Libres
partitions-lost = Perdues
of-partitions = { $busy } sur { $all }
address = Adresse
registered = Enregistré
partition = Partition
user = Utilisateur
no-computers = Il n’y a pas d’ordinateurs.
no-computers-yet = Enregistrez-en un :

## Autres listes
nav-parties = Parties
nav-accounts = Comptes
log-lede = Chaque événement dans son ordre. Les valeurs scellées montrent leur clé et leur empreinte.
projections-lede = Tout ce qui se lit est dérivé du journal, et peut l’être à nouveau.
credentials-lede = Qui a accès, à quel titre et jusqu’à quand.
review-lede = Les facturations : une période d’un vendeur, du brouillon au définitif.
parties-lede = Qui demande, vend et paie.
accounts-lede = Les comptes des livres et leurs soldes.
balance-lede = Tous les comptes qui ne sont pas vides. Les débits égalent les crédits.
journal-lede = Des écritures équilibrées, chacune d’un événement.
prices-lede = Les tarifs. Une version publiée ne change jamais.
stream = Flux
actor = Acteur
view = Vue
position = Position
bytes = Octets
digest-short = Empreinte
holder = Titulaire
roles = Rôles
label = Étiquette
expires = Expire
revoked = Révoqué
from = Du
until = Au
cut-off = Arrêté
opened = Ouverte
documents-title = Documents
time-zone = Fuseau horaire
account = Compte
kind = Nature
currency = Devise
balance = Solde
debits = Débits
credits = Crédits
balanced = Équilibrée
debit = Débit
credit-side = Crédit
event-of = événement { $event }
nothing-listed = Il n’y a encore rien ici.
account-kind-asset = actif
account-kind-income = produit
account-kind-liability = passif
account-kind-expense = charge
book-since = Compte à partir du { $from }, publié par l’événement { $event }
for-instances-that = Pour les instances
rate-kind-recurring = abonnement
rate-kind-per-unit = par unité
rate-kind-graduated = par paliers, chacun à son prix
rate-kind-volume = tout au prix du dernier palier
rate-kind-percentage = part d’autres lignes
rate-kind-minimum = au moins
rate-kind-discount = remise
rate-kind-maximum = au plus
state-active = Actif
state-expired = Expiré
state-revoked = Révoqué
state-spent = Utilisé
ended = Terminé
match-instance-type = type
match-software-release = version du logiciel
match-software-type = type de logiciel
match-computer = ordinateur
match-region = région
match-customer = client

## Catalogue
catalogue-lede = Ce qui a été dit des logiciels et des hôtes, et ce que ce journal montre depuis.
catalogue-empty = Le catalogue est vide.
catalogue-empty-then = Remplissez-le à partir d’un fichier de tableaux :
catalogue-rule = Le journal fait avancer un logiciel : installé sur un ordinateur, il est pris en charge ; demandé pour un test, il est testé ; démarré, il est utilisé ; facturé à l’usage sur une facture définitive, il est en production.
catalogue-storage = Stockage
catalogue-platform = Plateformes
catalogue-host = Hôtes
catalogue-story = Réussites
catalogue-said = Annoncé
catalogue-shown = Montré par ce journal
catalogue-instances = { $count ->
    [0] aucune instance
    [one] une instance
   *[other] { $count } instances
 }
catalogue-ticks = Le document donne les coches d’une ligne sans leurs colonnes ; seul leur nombre est gardé : invité recette, prévu, pris en charge, testé, utilisé ; hôte pris en charge, utilisé.
tables = Tableaux
stage = Étape
stage-considered = envisagé
stage-planned = prévu
stage-supported = pris en charge
stage-tested = testé
stage-used = utilisé
stage-production = en production
host = Hôte
recipe = Recette
ticks = Coches sur 7
user-of-story = Utilisateur
market = Marché
application = Application
stack = Socle
now = Maintenant

## Overview of a customer
draft-in = Brouillon de ce mois, { $currency }
forecast-in = Prévision à sa fin, { $currency }
forecast-rule = frais selon le brouillon, usage au rythme actuel, hors taxe
prepaid-left = Crédit prépayé restant, { $currency }
draft-made-of = Composition du brouillon
so-far-in = À ce jour, { $currency }
all-instances = Toutes les instances
other-customers = { $count ->
    [one] Un autre client
   *[other] { $count } autres clients
 }

## Usage of an instance
usage = Usage
by-hour = Heure
by-day = Jour
by-month = Mois
earlier = Plus tôt
later = Plus tard
usage-caption = { $resource }, { $unit } : { $sum } en tout
destroy-cost = Pour { $month }, elle coûte { $amount } { $currency } à ce jour ; ce montant reste facturé.
what-it-costs = Ce qu’elle coûte

## Prices, tokens and operation
publish-prices = Publier une grille de prix
price-book-text = Grille de prix, en TOML
preview = Aperçu
publish = Publier
compare = Comparer
what-if = Autres prix sur l’usage passé
what-if-lede = { $period }, comparé à { $against }.
nothing-recorded = Rien n’est enregistré.
by-published = Aux prix publiés
by-these = À ces prix
price-preview = Ce que la publication ferait
before = Avant
after = Après
differs-from = Comparé à la version { $version }
first-version = Ce serait la première version.
no-change = Aucun prix ne change.
touched-documents = Factures dont la période est touchée
touches = { $count ->
    [one] Elle prend effet dans la période d’une facture.
   *[other] Elle prend effet dans les périodes de { $count } factures.
 }
touches-then = Sa publication demande votre accord. Les factures suivantes ajustent ce que celles-ci ont facturé.
touches-none = Elle ne touche aucune période facturée.
retroactive = Elle peut prendre effet dans des périodes facturées
versions = Versions
version = Version { $version }
rates = Tarifs
rate-change-same = inchangé
rate-change-new = nouveau
rate-change-gone = supprimé
done-prices-published = La grille de prix a été publiée.
issue-token = Émettre un jeton
issue = Émettre
holder-hint = Un tiers tel que PARTY-2, ou le nom d’un opérateur. Vous-même, si vous le laissez vide.
role-admin = administrateur
role-auditor = auditeur
role-customer = client
role-provider = fournisseur
role-publisher = éditeur
token-issued = Le jeton a été émis
token-once = Vous ne le verrez que cette fois.
token-once-then = Copiez-le maintenant. Le serveur n’en garde qu’une empreinte et ne peut plus le montrer.
token-kept = Je l’ai copié
credential-kind-token = jeton
credential-kind-certificate = certificat
issued-by = Émis par
project = Projet
all-projects = tous les projets
revoke-credential = Révoquer ce justificatif
revoke-then = Son porteur est refusé désormais. C’est irréversible.
revoke-all = Révoquer aussi tous les autres de son titulaire
revoke = Révoquer
done-credential-revoked = Le justificatif a été révoqué.
nav-operation-page = Exploitation
operation-lede = L’état du serveur : d’abord les défauts.
faults = Défauts
view-lags = La vue { $view } a { $lag } événements de retard sur le journal.
writer = Écrivain
term = mandat { $term }
last-event = Dernier événement
on-disk = Sur le disque
epochs = { $count ->
    [one] une époque
   *[other] { $count } époques
 }
clock = Horloge
views = Vues
lag = Retard
snapshot = Instantané
rebuild = Reconstruire
rebuilding = En reconstruction
rebuild-note = Une reconstruction dérive une vue du premier événement, à côté de celle en service, et compare les deux. Si elles sont égales, la nouvelle génération sert, et la précédente est gardée un temps.
shipping = Copies des époques scellées
copied-to = Copiées vers
copied = Copiées
waiting = En attente
expiring = Justificatifs qui expirent dans 30 jours
none-expiring = Aucun n’expire bientôt.
projects = Projets

## A request by a form
request-lede = Choisissez un logiciel. Si son fournisseur a décrit ses paramètres, le formulaire demande chacun d’eux.
request-by-form = Par formulaire
instance-purpose = But
no-parameters = Ce logiciel ne prend aucun paramètre.
no-schema = Personne n’a décrit les paramètres de ce logiciel.
yes = oui
no = non

## More words
state-failed = En panne
state-approved = Approuvé
line-kind-advance = Frais d’avance

## Computers in time
last-days = Les 31 derniers jours
lane-name = { $count ->
    [0] { $computer } n’a jamais été silencieux
    [one] { $computer } a été silencieux une fois
   *[other] { $computer } a été silencieux { $count } fois
 }
silent-from = Silencieux depuis
silent-until = Jusqu’à
never-silent = Il n’a jamais été silencieux.
state-available = Disponible
state-building = En construction

## What was refused
refused-invalid = Une valeur ne convient pas
refused-unknown-field = Un champ est inconnu
refused-precondition-failed = Quelqu’un l’a modifié entre-temps : relisez, puis refaites le changement
refused-modified-concurrently = Quelqu’un l’a modifié entre-temps : relisez, puis refaites le changement
refused-name-taken = Le nom est pris
refused-no-free-partition = Aucune partition n’est libre
refused-quota-exceeded = Il y en a déjà trop
refused-party-unknown = Ce tiers n’existe pas
refused-holder-unknown = Ce titulaire n’existe pas
refused-instance-unknown = Cette instance n’existe pas
refused-instance-destroyed = L’instance est détruite
refused-price-book-unknown = Cette grille de prix n’existe pas
refused-already-invoiced = Elle prend effet dans une période facturée
refused-period-invoiced-by-prices = Elle prend effet dans une période facturée : donnez votre accord, ou choisissez un début plus tard
refused-currency-fixed = La devise d’une grille de prix ne change jamais
refused-usage-not-suspended = Plus personne n’a à décider de cet événement
refused-usage-unmeterable = Avec ces valeurs, il ne peut pas être facturé non plus
refused-forbidden = Vos rôles ne le permettent pas
refused-conflict = L’état du registre ne le permet pas
refused-idempotency-key-reused = Ce formulaire a déjà été envoyé : rechargez la page
refused-rebuild-under-way = Une reconstruction est déjà en cours
refused-generation-unconfirmed = La génération précédente diffère, et personne ne l’a confirmé
refused-no-such-generation = Cette génération n’existe plus
refused-overloaded = Le serveur est occupé : réessayez dans un instant

## Direct
live = En direct
live-off = Pas en direct depuis %
live-waiting = % en attente

## Reçus
received-events = Ce qu’est devenu chaque événement
received-last = Derniers événements d’usage reçus
received-since = depuis { $time }
what-next = Que faire ensuite
no-computer = aucun ordinateur connu
no-receipts = Aucun événement d’usage n’est arrivé depuis le démarrage du programme.
no-receipts-yet = Les événements apparaissent ici dès qu’ils sont rapportés, acceptés ou non.
receipts-note = Les nombres sont exacts depuis le démarrage du programme. Pour chaque ordinateur et chaque résultat, les 1 000 derniers sont gardés ; les doublons et les événements rejetés ne sont pas dans le journal.
older = Plus anciens
outcome-all = Tous
outcome-accepted = Acceptés
outcome-duplicate = Doublons
outcome-suspended = En attente
outcome-rejected = Rejetés
receipt-next-accepted = rien : il est compté
receipt-next-duplicate = rien : il a été enregistré la première fois
receipt-next-suspended = à corriger ou à écarter
receipt-next-rejected = corriger le champ chez l’émetteur, puis renvoyer l’événement
receipt-next-conflict = l’envoyer sous un identifiant propre, ou comme correction (replaces)

## Revue du mois
nav-revenue = Chiffre d’affaires
review-of = Revue : { $what }
review-run = { $run } ({ $state }) a { $count ->
    [one] un document établi
   *[other] { $count } documents établis
} avec tout ce qui était connu à la séquence { $sequence }.
run-open = Ouvrir une facturation
run-refresh = Refaire les brouillons
run-withdraw = Retirer
run-finalise = Rendre { $count } définitives
withdraw-what = Retirer cette facturation et ses { $count } documents ?
withdraw-then = Ses brouillons sont jetés. Rien n’a été facturé, et la période peut l’être par une autre facturation.
finalise-what = Rendre { $count } brouillons définitifs ?
finalise-then = Ils deviennent des factures numérotées qui ne changent plus. { $undecided } n’ont pas été revus. { $held } sont retenus et restent des brouillons.
drafts-in = Documents, { $currency }
issued-count = { $count } définitives
importance-blocks = Bloque
importance-not-charged = Non facturé
importance-may-be-missing = Manque peut-être
drafts-by-rank = Brouillons, les plus inhabituels d’abord
compare-months = Comparer les mois
true-of-all = Vrai de tous les brouillons :
unusual = Ce qui est inhabituel
decision = Décision
nothing-unusual = Rien d’inhabituel
finding-missing-usage = { $hours } h sans { $resources } sur { $computer }
finding-suspended-usage = { $count } rapports ne sont pas facturés
finding-late-usage = { $count } rapports sont arrivés après les brouillons
finding-adjustment = { $count } lignes corrigent des documents antérieurs
finding-zero = { $count } lignes à 0,00
unusual-missing-usage = Usage manquant
unusual-suspended-usage = Usage en attente
unusual-warning = Avertissement
unusual-change = Variation inhabituelle
unusual-first-invoice = Première facture
unusual-late-usage = Usage tardif
unusual-adjustment = Corrections
unusual-ended-instance = Instance terminée
unusual-zero = Montants nuls
reason-for-others = Raison, montrée aux autres réviseurs
approve = Approuver
hold = Retenir
finalise-one = Rendre définitive
rank-rule = Ordre : usage manquant ou en attente et avertissements, variation d’un cinquième ou plus, première facture, usage tardif et corrections, instances terminées, montants nuls.
no-drafts = Cette facturation n’a pas de brouillon.
done-draft-approved = Le brouillon est approuvé.
done-draft-held = Le brouillon est retenu.
done-draft-finalised = Le brouillon est une facture définitive.
done-run-opened = La facturation est ouverte.
done-run-refreshed = Les brouillons ont été refaits.
done-run-withdrawn = La facturation est retirée.
done-run-finalised = Les brouillons sont des factures définitives, sauf ceux qui sont retenus.

## Chiffre d’affaires
revenue-lede = Le total des documents définitifs, hors taxe, sur six mois.
revenue-by = Chiffre d’affaires par
revenue-by-customer = Client
revenue-by-software = Logiciel
revenue-by-computer = Ordinateur
revenue-in = Chiffre d’affaires, { $currency }
revenue-other = sans instance
revenue-left = { $count } autres ne sont pas montrés.
no-revenue = Aucun document de ces mois.
chart-revenue = Chiffre d’affaires par mois, { $currency }
months-compared = { $before } et { $after } comparés
comparison-note = Les brouillons sont compris ici.

## Journal et livres
log-head = Tête
log-head-note = le dernier événement
log-root = Racine
log-signed-by = Signé par
log-checkpoint = Point de contrôle signé
log-checkpoint-download = Télécharger le point de contrôle
log-root-rule = Deux copies du journal qui ont la même racine à la même taille ont les mêmes événements, octet pour octet.
log-unsigned = Ce serveur ne signe pas de points de contrôle : il a démarré sans clé du journal.
log-seek = Aller à un événement
recorded-from = Enregistré à partir du
recorded-until = Enregistré avant le
stream-version = Flux et version
log-open-place = Ouvrir { $stream }
log-as-of = Le cloud tel qu’il était à cet événement
log-link = Lien vers cet événement
log-proof = Preuve d’inclusion
log-names-documents = Nomme les documents
log-names-events = Nomme les événements
log-more-events = et { $count } autres
log-sealed = Les valeurs scellées montrent leur clé et leur empreinte. L’empreinte de la commande prouve quelle demande a causé l’événement.
log-none-yet = Aucun événement jusqu’ici ne correspond à ces filtres.
log-look-further = Chercher plus loin
balance-at = Avant le jour
balance-before = Livres de { $seller } : tout ce qui est daté d’avant le { $time }.
balance-all = Livres de { $seller } : tout ce qui a été comptabilisé.
not-balanced = Non équilibrée
export-for = Exporter pour { $program }
dated-from = Daté à partir du
dated-before = Daté d’avant le
journal-kind-invoice = facture
journal-kind-credit-note = avoir
journal-kind-credit-granted = crédit accordé
journal-kind-credit-withdrawn = crédit repris
journal-kind-credit-expired = crédit expiré
journal-kind-closing = clôture
statement-lede = Compte des livres de { $seller } : { $kind }, { $currency }. Un débit est positif, un crédit négatif.
opening-balance = Solde d’ouverture
closing-balance = Solde de clôture
from-the-first = depuis le premier événement
to-the-last = jusqu’au dernier événement
before-time = avant le { $time }
cited-lines = { $count ->
    [one] ligne { $lines }
   *[other] lignes { $lines }
 }
in-the-log = Dans le journal
event-number = événement { $number }
all-of-stream = tous ses événements
account-kind-equity = capitaux propres

## Comptes et exploitation
gap-all = quoi que ce soit
and-more = et { $count } autres
finding-error = { $count ->
    [one] Quelque chose est en erreur sur un ordinateur : { $computers }.
   *[other] Quelque chose est en erreur sur { $count } ordinateurs : { $computers }.
 }
finding-error-then = Une instance ou une version d’un logiciel le signale. Son ordinateur pourrait ne plus recevoir d’instances.
finding-hours = { $hours } heures sont sans usage.
finding-reports = { $count } rapports de { $computer } ne sont jamais arrivés, du { $start } au { $stop }.
finding-reports-then = L’ordinateur compte ses rapports ; les numéros entre les deux manquent.
finding-missing-left = { $count ->
    [one] L’usage d’un autre ordinateur manque.
   *[other] L’usage de { $count } autres ordinateurs manque.
 }
lane-errors = { $count ->
    [0] rien n’y était en erreur
    [one] quelque chose y était en erreur une fois
   *[other] quelque chose y était en erreur { $count } fois
 }
lane-heard = entendu
lane-silent = silencieux
lane-error = une instance ou un logiciel en erreur
error-from = En erreur à partir du
error-most = À la fois
never-in-error = Rien n’y était en erreur.
tab-computer-all = Tous
tab-computer-silent = Silencieux
tab-computer-error = En erreur
tab-computer-current = À jour
tab-computer-requested = Demandés
tab-computer-retired = Retirés
queue = File de l’écrivain
queue-most = { $count } peuvent attendre
greatest-lag = Plus grand retard
lag-of-views = événements, sur { $count } vues
disk-free = Libre sur le disque
disk-of = sur { $total }, { $reserve } gardés libres
since-snapshot = Événements depuis
more-expiring = Les { $count } premiers sont affichés.
project-title = Nom d’un nouveau projet
project-open = Ouvrir un projet
done-project-opened = Le projet a été ouvert.
rebuilt = La vue a été reconstruite
rebuilt-lede = Dérivée à nouveau du premier événement à la séquence { $sequence }, et comparée à celle qui servait.
rebuilt-then = La nouvelle génération sert maintenant. La précédente est gardée un temps, et peut servir à nouveau.
rebuilt-waits = La nouvelle génération attend, la précédente sert. Une différence signifie que ce qui sert ne découle pas du journal : prévenez ceux qui maintiennent le programme.
rebuilding-lede = La vue est dérivée à nouveau pendant que celle en service répond. La page d’exploitation montre l’avancement.
rebuild-failed = La dernière reconstruction a échoué
row-table = Table
row-key = Ligne
row-change-added = Dans la nouvelle génération seulement
row-change-removed = Absente de la nouvelle génération
row-change-changed = Différente
generation-building = En cours de dérivation
generation-comparing = En cours de comparaison
generation-ready = Attend son échange
generation-swapping = Prend sa place
generation-previous = Génération précédente gardée
generation-rate = { $rate } événements/s
generation-left = encore { $seconds } s
generation-kept = gardée { $seconds } s
generation-differs = { $count ->
    [one] Une ligne diffère
   *[other] { $count } lignes diffèrent
 }
rebuild-change-cancel = Annuler
rebuild-change-swap = Utiliser la nouvelle
rebuild-change-confirm = Confirmer
rebuild-change-swap-back = Utiliser la précédente
done-rebuild-cancelled = La reconstruction a été annulée.
done-rebuild-swapped = La nouvelle génération est en service.
done-rebuild-confirmed = La génération précédente a été supprimée.
done-rebuild-swapped-back = La génération précédente est de nouveau en service.
projection = Projection
compared = Comparaison
digest-before = Empreinte d’avant
digest-now = Empreinte actuelle
different = Différente

## Début
last-invoiced = Dernier mois facturé : { $month }

## Limites
finding-missing-unseen = { $count ->
    [one] L’usage manquant d’un ordinateur n’est pas compté ici.
   *[other] L’usage manquant de { $count } ordinateurs n’est pas compté ici.
 }

## Listes coupées
drafts-cut = Les 20 premiers clients avec un brouillon sont dans ces sommes.
balance-left = { $count } autres comptes sont dans les sommes.
