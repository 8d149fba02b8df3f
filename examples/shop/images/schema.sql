create table if not exists items (
  id bigint generated always as identity primary key,
  name text not null check (name <> ''),
  created timestamptz not null default now(),
  result text,
  worker text
);
create table if not exists reports (
  id bigint generated always as identity primary key,
  made timestamptz not null default now(),
  items bigint not null,
  done bigint not null,
  requeued bigint not null
);
